"""From a painting to what a scanner would store: blur, couch and noise."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from imaging.volumes.grid import Grid
from imaging.volumes.volume import bounding_box
from phantoms.canvas import AIR_HU, Painting
from phantoms.texture import scanner_noise


class ScannedPatient(Protocol):
    """What the scan of a patient depends on."""

    @property
    def seed(self) -> int:
        """The seed of the noise."""
        ...

    @property
    def noise_hu(self) -> float:
        """The noise's standard deviation at 1 x 1 x 2.5 mm."""
        ...

    @property
    def couch(self) -> bool:
        """Whether the scan shows a couch top."""
        ...


def scanned(
    painting: Painting, grid: Grid, how: ScannedPatient, *, head_rest: bool = False
) -> NDArray[np.int16]:
    """Return the painting as HU int16 (z, y, x) with blur, couch and noise; air stays air."""
    hu = painting.hu_zyx
    blur = tuple(0.55 / s if s < 1.4 else 0.0 for s in grid.spacing_zyx_mm[1:])
    hu = gaussian_filter(hu, (0.0, *blur))
    if how.couch:
        _lay_on_couch(hu, painting.body_zyx, grid, head_rest=head_rest)
    window = bounding_box(painting.body_zyx)
    if window is not None:
        noise = scanner_noise(painting.body_zyx[window], grid.spacing_zyx_mm, how.noise_hu, how.seed)
        hu[window] += noise * np.clip((hu[window] - AIR_HU) / 300, 0, 1)
    return np.clip(np.round(hu), -1000, 3071).astype(np.int16)


def _lay_on_couch(hu: NDArray[np.float32], body: NDArray[np.bool_], grid: Grid, *, head_rest: bool) -> None:
    """Paint a couch top of carbon fibre and foam under the back and, if asked for, a foam rest under the head."""
    if not body.any():
        return
    dy, dx = grid.spacing_zyx_mm[1:]
    bottom = int(np.flatnonzero(body.any(axis=(0, 2)))[-1]) + 1
    x = grid.origin_lps[0] + dx * np.arange(grid.shape_zyx[2])
    y = (np.arange(grid.shape_zyx[1]) - bottom) * dy
    air = ~body & (hu < -950)
    inside = (np.abs(x)[None, :] < 262) & (y[:, None] > 1.0) & (y[:, None] < 56)
    core = (np.abs(x)[None, :] < 260) & (y[:, None] > 3.0) & (y[:, None] < 54)
    board = np.where(core, -960.0, np.where(inside, -420.0, AIR_HU)).astype(np.float32)
    support = np.broadcast_to(board, hu.shape)
    if head_rest:
        rest = (np.abs(x)[None, :] < 105) & (y[:, None] > -75) & (y[:, None] <= 1.0)
        top = grid.origin_lps[2] + grid.spacing_zyx_mm[0] * np.arange(grid.shape_zyx[0])
        under_head = (top > -95)[:, None, None] & _behind(body) & rest[None]
        support = np.where(under_head, np.float32(-955), support)
    np.copyto(hu, support, where=air & (support > AIR_HU))


def _behind(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which voxels have part of the patient in front of them, (z, y, x)."""
    return np.logical_or.accumulate(body, axis=1)
