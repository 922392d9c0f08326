"""The texture of a CT: the grain of tissue, and the noise of a scanner."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from phantoms.shapes import Field

_LOW = np.array([-400.0, -260.0, -300.0])  # z, y, x in mm: the lattice covers every phantom
_HIGH = np.array([240.0, 260.0, 300.0])
_PERIODS_MM = (6.0, 15.0)


@dataclass(frozen=True, kw_only=True)
class Texture:
    """Smooth random grain, fixed in patient space by its seed, so the same at every spacing; about -1..1."""

    seed: int

    @cached_property
    def _lattices(self) -> tuple[NDArray[np.float32], ...]:
        rng = np.random.default_rng([self.seed, 2])
        sizes = [np.ceil((_HIGH - _LOW) / period).astype(int) + 2 for period in _PERIODS_MM]
        return tuple(rng.uniform(-1, 1, tuple(size)).astype(np.float32) for size in sizes)

    def on(self, x: Field, y: Field, z: Field) -> Field:
        """Return the grain on an open mesh, as an array over (z, y, x)."""
        total = np.zeros((z.size, y.size, x.size), np.float32)
        for lattice, period, share in zip(self._lattices, _PERIODS_MM, (0.6, 0.7), strict=True):
            weights = [
                _weights(at.ravel(), low, period, count)
                for at, low, count in zip((z, y, x), _LOW, lattice.shape, strict=True)
            ]
            total += np.float32(share) * np.einsum("za,yb,xc,abc->zyx", *weights, lattice, optimize=True)
        return total


def _weights(at_mm: Field, low: float, period: float, count: int) -> NDArray[np.float32]:
    """Return the matrix (points, lattice) that interpolates linearly from a lattice."""
    place = np.clip((at_mm - low) / period, 0, count - 1.001)
    index = place.astype(int)
    rows = np.zeros((len(at_mm), count), np.float32)
    rows[np.arange(len(at_mm)), index] = 1 - (place - index)
    rows[np.arange(len(at_mm)), index + 1] = place - index
    return rows


def scanner_noise(
    body_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float], noise_hu: float, seed: int
) -> NDArray[np.float32]:
    """Return HU noise like a scanner's: blobs of a reconstruction filter, stronger and streaky through the shoulders.

    ``noise_hu`` is the standard deviation at 1 x 1 x 2.5 mm in the neck; larger voxels have less.
    """
    rng = np.random.default_rng([seed, 3])
    level = noise_hu * (2.5 / float(np.prod(spacing_zyx_mm))) ** 0.25
    white = rng.standard_normal(body_zyx.shape, dtype=np.float32)
    fine_px, wide_px = 0.7 / spacing_zyx_mm[1], max(3, round(9 / spacing_zyx_mm[1]))
    grainy = gaussian_filter(white, (0, fine_px, fine_px), truncate=3)
    grainy -= uniform_filter(grainy, (0, wide_px, wide_px))
    streaks = uniform_filter(white[::-1], (0, 1, 3 * wide_px))
    columns = body_zyx.any(axis=1).sum(axis=1) * spacing_zyx_mm[2]
    thick = np.clip((columns - 200) / 220, 0, 1).astype(np.float32)[:, None, None]
    grainy *= np.float32(level) / (grainy.std() + np.float32(1e-6))
    streaks *= np.float32(level) / (streaks.std() + np.float32(1e-6))
    return np.asarray(grainy * (1 + 0.6 * thick) + streaks * 0.8 * thick, np.float32)
