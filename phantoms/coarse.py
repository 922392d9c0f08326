"""Phantoms on coarse voxels: quick to make and to contour, for tests of whole models."""

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from phantoms.head_neck import head_neck_grid, make_head_neck
from phantoms.pelvis import make_pelvis
from phantoms.regions import REGIONS

_EVERY = 4  # of the default grid's voxels in plane


def coarse_phantom(body_region: str) -> Volume:
    """Return the CT of a phantom for a contract's body region: pelvis, thorax, or head and neck for all others."""
    if body_region == "pelvis":
        return _thinned(make_pelvis().volume)
    if body_region == "thorax":
        return _thinned(REGIONS["thorax"](1).volume)
    grid = head_neck_grid(spacing_zyx_mm=(5.0, 4.0, 4.0), shape_zyx=(50, 72, 72))
    return make_head_neck(grid=grid).volume


def _thinned(volume: Volume) -> Volume:
    """Return every fourth voxel in plane, each in its place."""
    grid = volume.grid
    array = volume.array_zyx[:, ::_EVERY, ::_EVERY].copy()
    dz, dy, dx = grid.spacing_zyx_mm
    return Volume(
        array_zyx=array,
        grid=Grid(
            shape_zyx=(array.shape[0], array.shape[1], array.shape[2]),
            origin_lps=grid.origin_lps,
            spacing_zyx_mm=(dz, dy * _EVERY, dx * _EVERY),
            axes_lps=grid.axes_lps,
        ),
    )
