"""The parameters in which thorax and pelvis phantoms differ, and what both share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Masks, Volume
from phantoms.canvas import paint
from phantoms.layers import Layer
from phantoms.phantom import Phantom
from phantoms.pose import Pose
from phantoms.scan import scanned
from phantoms.shapes import Point, Shape

Sex = Literal["F", "M"]


@dataclass(frozen=True, kw_only=True)
class TrunkParameters:
    """A patient's body; the defaults are an average adult lying straight, sizes are factors of that patient's."""

    seed: int = 0
    scale: Point = (1.0, 1.0, 1.0)
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    yaw_deg: float = 0.0
    distortion_mm: float = 0.0
    fat_mm: float = 22.0
    fat_hu: float = -105.0
    muscle_hu: float = 52.0
    bone_density: float = 1.0
    vessel_hu: float = 45.0
    noise_hu: float = 10.0
    couch: bool = True

    def vary(self, rng: np.random.Generator) -> Self:
        """Return another plausible patient, drawn about this one."""

        def near(middle: float, spread: float) -> float:
            return float(middle + spread * np.clip(rng.standard_normal(), -2, 2))

        size = near(1.0, 0.04)
        return replace(
            self,
            seed=int(rng.integers(1, 2**31)),
            scale=(size * near(1, 0.04), size * near(1, 0.05), size * near(1, 0.03)),
            distortion_mm=float(rng.uniform(1.0, 4.0)),
            fat_mm=float(rng.uniform(10.0, 38.0)),
            fat_hu=near(self.fat_hu, 6.0),
            muscle_hu=near(self.muscle_hu, 7.0),
            bone_density=near(self.bone_density, 0.15),
            vessel_hu=float(rng.choice([45.0, 45.0, 120.0, 160.0])),
            noise_hu=float(rng.uniform(5.0, 20.0)),
            couch=bool(rng.random() < 0.8),
        )


@dataclass(frozen=True, kw_only=True)
class ThoraxParameters(TrunkParameters):
    """A chest with a tumour in one lung; its position, size and shape follow from the seed."""


@dataclass(frozen=True, kw_only=True)
class PelvisParameters(TrunkParameters):
    """A pelvis; with an applicator in the uterus (women) the target is that of cervical brachytherapy."""

    sex: Sex = "M"
    applicator: bool = False

    def __post_init__(self) -> None:
        """Refuse an applicator in a man."""
        if self.applicator and self.sex != "F":
            raise ValueError("an applicator lies in a uterus: sex is F")


def trunk_grid(
    *,
    spacing_zyx_mm: tuple[float, float, float] = (5.0, 1.171875, 1.171875),
    shape_zyx: tuple[int, int, int] = (56, 512, 512),
    bottom_mm: float = -120.0,
) -> Grid:
    """Return a grid round the middle of a trunk phantom, from ``bottom_mm`` up."""
    _, dy, dx = spacing_zyx_mm
    _, ny, nx = shape_zyx
    return Grid(
        shape_zyx=shape_zyx,
        origin_lps=(-(nx - 1) / 2 * dx, 10.0 - (ny - 1) / 2 * dy, bottom_mm),
        spacing_zyx_mm=spacing_zyx_mm,
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )


def made(
    region: str, how: TrunkParameters, grid: Grid, layers: Sequence[Layer], structures: Mapping[str, Shape]
) -> Phantom:
    """Paint and scan one patient; the same arguments give the same bytes."""
    painting = paint(grid, Pose.of(how), layers, structures, how.seed)
    return Phantom(
        volume=Volume(array_zyx=scanned(painting, grid, how), grid=grid),
        masks=Masks(grid=grid, by_code=painting.masks),
        region=region,
        seed=how.seed,
    )
