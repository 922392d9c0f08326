"""The parameters of the pipelines of inference/server/pipelines/catalogue.py: how an image passes through networks."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from inference.contract.values import ContractPart, Fraction, Millimetres, StructureCode, Voxels

Window = tuple[float, float]


class VoxelRange(ContractPart):
    """The voxels that a network was trained on: spacings inside a range are used as they are, others are resampled."""

    accepted_in_plane_mm: tuple[Millimetres, Millimetres]
    accepted_slice_mm: tuple[Millimetres, Millimetres]
    in_plane_mm: Millimetres
    slice_mm: Millimetres

    @model_validator(mode="after")
    def _targets_are_accepted(self) -> Self:
        for name, target, (low, high) in (
            ("in_plane_mm", self.in_plane_mm, self.accepted_in_plane_mm),
            ("slice_mm", self.slice_mm, self.accepted_slice_mm),
        ):
            if not low <= target <= high:
                raise ValueError(f"{name} {target} lies outside its accepted range {low}..{high}")
        return self


class WholeVolumeTiles(ContractPart):
    """A 3-D network over the whole body in overlapping tiles, on the model's own voxels."""

    name: Literal["whole_volume_tiles"]
    windows_hu: tuple[tuple[float, float], ...] = Field(min_length=1)
    tile_zyx: tuple[Voxels, Voxels, Voxels]
    overlap: float = Field(default=0.4, ge=0.0, lt=0.9)
    mirror: bool = False  # also contour the mirrored image (left to right) and average: takes twice the time
    voxels: VoxelRange
    body_threshold_hu: float = -500.0
    body_margin_mm: float = Field(default=24.0, ge=0.0)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the networks that this pipeline runs, as in ``NativeRuntime.networks``."""
        return ("network",)

    @model_validator(mode="after")
    def _windows_rise(self) -> Self:
        if any(low >= high for low, high in self.windows_hu):
            raise ValueError(f"a window runs from low to high, not {self.windows_hu}")
        return self


class ResizedSlice(ContractPart):
    """Every whole slice resized to one size in pixels, whatever its pixel spacing."""

    kind: Literal["resized_slice"]
    size_yx: tuple[Voxels, Voxels]


class BodyCrop(ContractPart):
    """A frame round the middle of the body on the model's own pixels; everything outside it is ignored."""

    kind: Literal["body_crop"]
    size_yx: tuple[Voxels, Voxels]
    accepted_in_plane_mm: tuple[Millimetres, Millimetres]
    in_plane_mm: Millimetres
    body_threshold_hu: float = -500.0


class SliceStacks(ContractPart):
    """A 2-D network slice by slice; with 3 or 5 ``slices``, each slice's neighbours are additional channels.

    HU become grey levels 0..255 over ``window_hu``, then (grey - mean) / sd. Three means and sds make three equal
    channels per slice. With ``exclusive``, the network answers background and classes of a softmax.
    """

    name: Literal["slice_stacks"]
    slices: Literal[1, 3, 5] = 1
    window_hu: Window = (-1024.0, 3071.0)
    mean: tuple[float, ...] = Field(default=(0.0,), min_length=1)
    sd: tuple[float, ...] = Field(default=(255.0,), min_length=1)
    frame: Annotated[ResizedSlice | BodyCrop, Field(discriminator="kind")]
    accepted_slice_mm: tuple[Millimetres, Millimetres]  # other slices are resampled
    slice_mm: Millimetres
    exclusive: bool = False

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the networks that this pipeline runs."""
        return ("network",)

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        _rising(self.window_hu)
        if len(self.mean) != len(self.sd) or min(self.sd) <= 0:
            raise ValueError(f"as many means as sds above 0, not {self.mean} and {self.sd}")
        return self


class SmallOrgan(ContractPart):
    """An organ that is detected, then contoured: its code, and its largest extent (z, y, x) in the training set."""

    code: StructureCode
    largest_extent_mm: tuple[float, float, float]

    @property
    def role(self) -> str:
        """The role of the network that contours it."""
        return f"voi_{self.code}"


class Stratified(ContractPart):
    """Organs in strata: anchors from CT, others with the anchors' probabilities too, small ones in volumes of interest.

    Networks: ``anchor`` and ``mid_level`` answer background and their classes (a softmax); ``detector`` answers one
    heat map per small organ; each small organ has a network that answers its logit. Without ``anchors_guide``,
    mid-level and detector see the CT alone; with ``anchors_in_voi``, the networks of the small organs see the anchors
    too.
    """

    name: Literal["stratified"]
    window_hu: Window = (-500.0, 1000.0)  # to 0..1
    tile_zyx: tuple[Voxels, Voxels, Voxels]
    overlap: float = Field(default=0.4, ge=0.0, lt=0.9)
    voxels: VoxelRange
    body_threshold_hu: float = -500.0
    body_margin_mm: float = Field(default=24.0, ge=0.0)
    anchors: tuple[StructureCode, ...] = Field(min_length=1)
    mid_level: tuple[StructureCode, ...] = ()
    small: tuple[SmallOrgan, ...] = ()
    anchors_guide: bool = True
    anchors_in_voi: bool = False
    voi_factor: float = Field(default=3.0, ge=1.0, le=10.0)
    voi_multiple: Voxels = 16
    lowest_heat: Fraction = 0.1

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the networks that this pipeline runs."""
        middle = ("mid_level",) if self.mid_level else ()
        small = ("detector", *(organ.role for organ in self.small)) if self.small else ()
        return ("anchor", *middle, *small)

    @property
    def codes(self) -> tuple[str, ...]:
        """The structures of all strata."""
        return (*self.anchors, *self.mid_level, *(organ.code for organ in self.small))

    @model_validator(mode="after")
    def _numbers_fit(self) -> Self:
        _rising(self.window_hu)
        if len(set(self.codes)) != len(self.codes):
            raise ValueError(f"a structure is in two strata: {list(self.codes)}")
        return self


def _rising(window: Window) -> None:
    if window[0] >= window[1]:
        raise ValueError(f"a window runs from low to high, not {window}")
