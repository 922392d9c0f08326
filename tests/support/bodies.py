"""A whole patient of ellipses, from the feet to the vertex, to be cut where a scan would be."""

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume

SPACING = (5.0, 4.0, 4.0)
SHAPE_YX = (90, 140)
HEIGHT_MM = 1700.0
AIR, SOFT, LUNG, BONE = -1000, 40, -800, 700
PARTS = {  # from, to, in mm from the feet
    "legs": (0, 800), "pelvis": (800, 950), "abdomen": (950, 1180), "thorax": (1180, 1440), "neck": (1440, 1530),
    "head": (1530, 1700),
}  # fmt: skip
Plane = NDArray[np.int16]


def whole_body(start_mm: float = 0.0, stop_mm: float = HEIGHT_MM) -> Volume:
    """The patient between two heights, canonical: index z to the head, y to the back, x to the left."""
    heights = np.arange(start_mm, stop_mm, SPACING[0]) + SPACING[0] / 2
    array = np.stack([_section(z) for z in heights])
    return upright_volume(array)


def part(name: str) -> Volume:
    return whole_body(*PARTS[name])


def upright_volume(array: NDArray[np.int16], spacing: tuple[float, float, float] = SPACING) -> Volume:
    z, y, x = array.shape
    grid = Grid(
        shape_zyx=(z, y, x),
        origin_lps=(0.0, 0.0, 0.0),
        spacing_zyx_mm=spacing,
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    return Volume(array_zyx=np.ascontiguousarray(array, np.int16), grid=grid)


def _section(z: float) -> Plane:
    plane = np.full(SHAPE_YX, AIR, np.int16)
    name = next(name for name, (low, high) in PARTS.items() if low <= z < high)
    _DRAWN[name](plane, z)
    return plane


def _ellipse(plane: Plane, at: tuple[float, float], half: tuple[float, float], hu: int) -> None:
    y, x = (np.arange(n) * s for n, s in zip(SHAPE_YX, SPACING[1:], strict=True))
    middle = (SHAPE_YX[0] * SPACING[1] / 2, SHAPE_YX[1] * SPACING[2] / 2)
    across = (x[None, :] - middle[1] - at[0]) / half[0]
    deep = (y[:, None] - middle[0] - at[1]) / half[1]
    plane[across**2 + deep**2 <= 1] = hu


def _legs(plane: Plane, z: float) -> None:
    for side in (-95, 95):
        thick = 45 + 40 * z / 800
        _ellipse(plane, (side, 0), (thick, thick), SOFT)
        _ellipse(plane, (side, -5), (16, 16), BONE)
        _ellipse(plane, (side, -5), (8, 8), SOFT)


def _pelvis(plane: Plane, _z: float) -> None:
    _ellipse(plane, (0, 0), (185, 115), SOFT)
    for side in (-110, 110):
        _ellipse(plane, (side, 10), (32, 32), BONE)
    _ellipse(plane, (0, 75), (30, 18), BONE)


def _abdomen(plane: Plane, _z: float) -> None:
    _ellipse(plane, (0, 0), (170, 115), SOFT)
    _ellipse(plane, (60, -60), (20, 12), LUNG)
    _ellipse(plane, (0, 60), (24, 20), BONE)


def _thorax(plane: Plane, z: float) -> None:
    if z > 1400:  # shoulders
        _ellipse(plane, (0, 0), (220, 90), SOFT)
        _ellipse(plane, (0, 20), (10, 10), LUNG)
    else:
        _ellipse(plane, (0, 0), (190, 120), SOFT)
        for side in (-90, 90):
            _ellipse(plane, (side, 0), (65, 85), LUNG)
    _ellipse(plane, (0, 60), (24, 20), BONE)


def _neck(plane: Plane, _z: float) -> None:
    _ellipse(plane, (0, 0), (62, 70), SOFT)
    _ellipse(plane, (0, -15), (9, 9), LUNG)
    _ellipse(plane, (0, 25), (20, 16), BONE)


def _head(plane: Plane, z: float) -> None:
    _ellipse(plane, (0, 0), (76, 95), SOFT)
    if z < 1590:  # face
        _ellipse(plane, (0, -40), (45, 30), BONE)
        _ellipse(plane, (0, -40), (30, 20), LUNG)
        _ellipse(plane, (0, 40), (30, 25), BONE)
    else:
        _ellipse(plane, (0, 0), (70, 88), BONE)
        _ellipse(plane, (0, 0), (60, 78), SOFT)


_DRAWN = {
    "legs": _legs, "pelvis": _pelvis, "abdomen": _abdomen, "thorax": _thorax, "neck": _neck, "head": _head,
}  # fmt: skip
