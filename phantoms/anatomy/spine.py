"""Vertebrae, discs, canal and cord, along the curve of the spine."""

from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from phantoms.composed import Difference, Grown
from phantoms.layers import Layer, both_sides, shell, solid
from phantoms.parameters import HeadNeckParameters
from phantoms.sections import Loft
from phantoms.shapes import Ellipsoid, Shape, Tube

BOTTOM_MM = -340.0
_KNOTS = (
    (-340, 86),
    (-280, 80),
    (-240, 68),
    (-190, 47),
    (-150, 31),
    (-115, 17),
    (-85, 9),
    (-45, 5),
    (-15, 1),
    (20, 0),
)
# centre heights of C2 .. T9, and half the height, half the width and half the depth of the body
_LEVELS = (
    (-33, 9, 10, 8), (-51, 6.5, 12, 8), (-67, 6.5, 12.5, 8.5), (-83, 6.5, 13, 8.5), (-99, 6.5, 13.5, 9),
    (-116, 7, 14.5, 9), (-134, 7.5, 15, 9.5), (-153, 8, 14.5, 10), (-173, 8.5, 14, 11), (-194, 9, 14, 12),
    (-216, 9, 14, 12.5), (-239, 9.5, 14.5, 13), (-262, 9.5, 15, 14), (-286, 10, 15.5, 14.5), (-310, 10, 16, 15),
)  # fmt: skip


def canal_y(how: HeadNeckParameters, z: float) -> float:
    """Return y of the centre of the spinal canal at height ``z``, in mm."""
    return float(how.kyphosis * _curve()(z))


def spine_front_y(how: HeadNeckParameters, z: float) -> float:
    """Return y of the front face of the vertebral bodies at height ``z``, in mm."""
    depth = float(np.interp(-z, (20, 50, 120, 300), (13, 16, 18, 29)))
    return canal_y(how, z) - 8.0 - depth


def column(
    how: HeadNeckParameters, top: float, half_width: float, half_depth: float, *, back_mm: float = 0.0
) -> Loft:
    """Return a straight-walled column along the canal, from ``top`` to the phantom's bottom."""
    z = tuple(float(v) for v in np.linspace(BOTTOM_MM, top, 14))
    return Loft(
        z=z,
        centre_x=(0.0,) * 14,
        centre_y=tuple(canal_y(how, v) + back_mm for v in z),
        half_width=(half_width,) * 14,
        front=(half_depth,) * 14,
        back=(half_depth,) * 14,
    )


def cord(how: HeadNeckParameters) -> Shape:
    """Return the cord, from the brainstem's end downwards."""
    return column(how, 0.0, 6.8 * how.cord_size, 5.4 * how.cord_size)


def spine(how: HeadNeckParameters) -> list[Layer]:
    """Return the bones from the atlas down, then discs, canal, fluid and cord."""
    layers = [*_discs(how), *_atlas(how)]
    for i, level in enumerate(_LEVELS):
        layers += _vertebra(how, level, cervical=i < 6)
    layers.append(solid(column(how, -4.0, 10.8, 8.0), 5))
    layers.append(solid(column(how, -4.0, 9.2, 7.2), 14))
    layers.append(solid(cord(how), how.brain_hu + 3, 4))
    return layers


def _discs(how: HeadNeckParameters) -> list[Layer]:
    column_of_discs = Loft(
        z=tuple(float(v) for v in np.linspace(BOTTOM_MM, -30, 14)),
        centre_x=(0.0,) * 14,
        centre_y=tuple(
            (canal_y(how, v) - 8 + spine_front_y(how, v)) / 2 for v in np.linspace(BOTTOM_MM, -30, 14)
        ),
        half_width=(15,) * 8 + (13,) * 6,
        front=tuple(
            (canal_y(how, v) - 8 - spine_front_y(how, v)) / 2 for v in np.linspace(BOTTOM_MM, -30, 14)
        ),
        back=tuple(
            (canal_y(how, v) - 8 - spine_front_y(how, v)) / 2 for v in np.linspace(BOTTOM_MM, -30, 14)
        ),
        exponent=2.4,
    )
    return [solid(column_of_discs, 85, 10)]


def _atlas(how: HeadNeckParameters) -> list[Layer]:
    y = canal_y(how, -13)
    ring = Difference(
        of=Ellipsoid(centre=(0, y + 2, -13), semi=(25, 23, 6)),
        without=(Ellipsoid(centre=(0, y + 1, -13), semi=(15, 17.5, 20)),),
    )
    mass = Ellipsoid(centre=(21, y - 6, -13), semi=(8, 9, 8))
    wing = Tube(points=((24, y - 2, -14), (38, y + 1, -15)), radii=(5, 4))
    dens = Tube(points=((0, y - 14, -34), (0, y - 13, -10)), radii=(7, 4.5))
    dense = how.bone_density
    return [
        shell(ring, 800 * dense, 1.8, 350),
        *both_sides([shell(mass, 750 * dense, 2, 380, 50), shell(wing, 700 * dense, 1.5, 300)]),
        shell(dens, 850 * dense, 1.8, 450),
    ]


def _vertebra(
    how: HeadNeckParameters, level: tuple[float, float, float, float], *, cervical: bool
) -> list[Layer]:
    z, height, width, depth = level
    y = canal_y(how, z)
    tilt = float(np.rad2deg(np.arctan(how.kyphosis * _curve().derivative()(z))))
    rind, core = 720 * how.bone_density, 270 * how.bone_density
    body = Ellipsoid(
        centre=(0, y - 7 - depth, z), semi=(width, depth + 0.5, height), exponent=4.0, turn_x_deg=-tilt
    )
    arch = Difference(
        of=Ellipsoid(centre=(0, y + 1, z - 2), semi=(20, 15, height * 1.05), turn_x_deg=-tilt - 12),
        without=(Grown(of=column(how, 0, 10.8, 8.0), mm=0.8),),
    )
    reach = 26.0 if cervical and z > -105 else 38.0
    spinous = Tube(
        points=((0, y + 12, z - 3), (0, y + reach, z - (8 if cervical else 20))),
        radii=(4.0, 3.4),
        stretch=(0.8, 1, 1.2),
    )
    pillar = Ellipsoid(centre=(19, y + 1, z - 1), semi=(6.5, 8, height * 1.15), turn_x_deg=-25)
    side = 26.0 if cervical else 36.0
    process = Tube(
        points=((16, y - (6 if cervical else -4), z), (side, y - (6 if cervical else -12), z)), radii=(4, 3.2)
    )
    return [
        shell(body, rind, 1.6, core, 40),
        shell(arch, rind, 1.8, core + 100),
        shell(spinous, rind, 1.5, core + 60),
        *both_sides([shell(pillar, rind, 1.8, core + 100), shell(process, rind * 0.9, 1.4, core)]),
    ]


@lru_cache(maxsize=1)
def _curve() -> PchipInterpolator:
    z, y = zip(*_KNOTS, strict=True)
    return PchipInterpolator(z, y)
