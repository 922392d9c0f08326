"""Arrays always kept with their grid: the volume of an image series, and masks stored as bounding-box crops."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.grid import Grid

Voxels = NDArray[np.int16] | NDArray[np.float32]
"""A volume's values (z, y, x): HU, or MR signal."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """CT numbers in HU, int16, or MR signal, float32; index order z, y, x, on `grid`."""

    array_zyx: Voxels
    grid: Grid

    def __post_init__(self) -> None:
        """Refuse an array that does not lie on its grid."""
        if self.array_zyx.shape != self.grid.shape_zyx:
            raise ValueError(f"array of shape {self.array_zyx.shape} on a grid of {self.grid.shape_zyx}")
        if self.array_zyx.dtype not in (np.int16, np.float32):
            raise ValueError(f"HU are kept as int16, signal as float32, not {self.array_zyx.dtype}")

    @property
    def hu_zyx(self) -> NDArray[np.int16]:
        """The voxels of a CT; ValueError for MR signal, to which limits in HU do not apply."""
        if self.array_zyx.dtype != np.int16:
            raise ValueError("the volume is MR signal: it has no Hounsfield units")
        return cast(NDArray[np.int16], self.array_zyx)


@dataclass(frozen=True, kw_only=True, eq=False)
class Mask:
    """A structure's voxels: a boolean crop (z, y, x) and the index at which the crop starts in the grid."""

    crop_zyx: NDArray[np.bool_]
    start_zyx: tuple[int, int, int]

    def __post_init__(self) -> None:
        """Refuse a crop that is not three-dimensional and boolean, or that starts outside the grid."""
        if self.crop_zyx.ndim != 3 or self.crop_zyx.dtype != np.bool_:
            raise ValueError(
                f"a mask is a boolean (z, y, x) array, not {self.crop_zyx.ndim}-D {self.crop_zyx.dtype}"
            )
        if min(self.start_zyx) < 0:
            raise ValueError(f"a mask starts inside its grid, not at {self.start_zyx}")

    @classmethod
    def empty(cls) -> "Mask":
        """Return the mask without voxels."""
        return cls(crop_zyx=np.zeros((0, 0, 0), np.bool_), start_zyx=(0, 0, 0))

    @classmethod
    def from_full(cls, full_zyx: NDArray[np.bool_]) -> "Mask":
        """Return the tight crop of a whole-grid boolean array, as a copy; empty where no voxel is set."""
        box = bounding_box(full_zyx)
        if box is None:
            return cls.empty()
        z, y, x = box
        return cls(crop_zyx=full_zyx[z, y, x].copy(), start_zyx=(z.start, y.start, x.start))

    def full(self, shape_zyx: tuple[int, int, int]) -> NDArray[np.bool_]:
        """Return the mask as an array of the whole grid; ValueError where the crop does not fit into it."""
        stop = tuple(s + n for s, n in zip(self.start_zyx, self.crop_zyx.shape, strict=True))
        if any(e > n for e, n in zip(stop, shape_zyx, strict=True)):
            raise ValueError(f"a mask that ends at {stop} does not fit into a grid of {shape_zyx}")
        whole = np.zeros(shape_zyx, np.bool_)
        whole[tuple(slice(a, b) for a, b in zip(self.start_zyx, stop, strict=True))] = self.crop_zyx
        return whole

    def voxels(self) -> int:
        """Return the number of voxels set."""
        return int(np.count_nonzero(self.crop_zyx))


@dataclass(frozen=True, kw_only=True, eq=False)
class Masks:
    """The structures of one case by catalogue code, all on the same grid; they may overlap."""

    grid: Grid
    by_code: Mapping[str, Mask]


def bounding_box(full_zyx: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Return the tight box round the voxels set in a (z, y, x) array, or None where none is set."""
    if not full_zyx.size:
        return None
    rows = full_zyx.reshape(len(full_zyx), -1) if full_zyx.flags.c_contiguous else full_zyx
    filled = np.flatnonzero(rows.any(axis=tuple(range(1, rows.ndim))))
    if not len(filled):
        return None
    z = slice(int(filled[0]), int(filled[-1]) + 1)
    plane = _any_over_slices(full_zyx[z])
    y, x = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    return z, slice(int(y[0]), int(y[-1]) + 1), slice(int(x[0]), int(x[-1]) + 1)


def _any_over_slices(slab_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return slab.any(axis=0), taking eight voxels at a time where the memory layout allows it."""
    if slab_zyx.flags.c_contiguous and slab_zyx.shape[2] % 8 == 0:
        words = np.bitwise_or.reduce(slab_zyx.view(np.uint64), axis=0)
        return np.asarray(words.view(np.bool_), np.bool_)
    return np.asarray(slab_zyx.any(axis=0), np.bool_)
