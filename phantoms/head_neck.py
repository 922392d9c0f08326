"""Head-and-neck phantoms: CT volumes whose organs are known exactly."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Masks, Volume, bounding_box
from phantoms.anatomy.chest import chest
from phantoms.anatomy.jaw import jaw, mandible, parotid
from phantoms.anatomy.neck import esophagus, larynx, neck
from phantoms.anatomy.outline import outline
from phantoms.anatomy.skull import brainstem, skull, upper_face
from phantoms.anatomy.spine import cord, spine
from phantoms.canvas import AIR_HU, Painting, paint
from phantoms.layers import Layer
from phantoms.parameters import HeadNeckParameters
from phantoms.phantom import Phantom
from phantoms.pose import Pose
from phantoms.shapes import Shape
from phantoms.texture import scanner_noise

STRUCTURES = ("Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus")


def head_neck_grid(
    *,
    spacing_zyx_mm: tuple[float, float, float] = (2.75, 0.9765625, 0.9765625),
    shape_zyx: tuple[int, int, int] = (112, 512, 512),
    top_mm: float = 95.0,
) -> Grid:
    """A grid about the phantom's middle; the brainstem's lower end lies at (0, 0, 0), ``top_mm`` below the top."""
    dz, dy, dx = spacing_zyx_mm
    nz, ny, nx = shape_zyx
    return Grid(
        shape_zyx=shape_zyx,
        origin_lps=(-(nx - 1) / 2 * dx, 5.0 - (ny - 1) / 2 * dy, top_mm - (nz - 1) * dz),
        spacing_zyx_mm=spacing_zyx_mm,
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )


def make_head_neck(parameters: HeadNeckParameters | None = None, grid: Grid | None = None) -> Phantom:
    """The patient of ``parameters`` on ``grid`` (axes +z, +y, +x); the same arguments give the same bytes."""
    how = parameters or HeadNeckParameters()
    on = grid or head_neck_grid()
    painting = paint(on, Pose.of(how), anatomy(how), structures(how), how.seed)
    hu = _scanned(painting, on, how)
    return Phantom(
        volume=Volume(array_zyx=hu, grid=on),
        masks=Masks(grid=on, by_code=painting.masks),
        region="head_neck",
        seed=how.seed,
    )


def anatomy(how: HeadNeckParameters) -> list[Layer]:
    """Every layer of the patient, in the order in which they are painted."""
    return [*outline(how), *chest(how), *neck_core(how), *skull(how), *upper_face(how), *jaw(how)]


def neck_core(how: HeadNeckParameters) -> list[Layer]:
    """Spine over muscles, then what lies in front of it."""
    return [*neck(how), *spine(how)]


def structures(how: HeadNeckParameters) -> Mapping[str, Shape]:
    """The organs' exact shapes, in the straight patient's frame."""
    return {
        "Brainstem": brainstem(how),
        "SpinalCord": cord(how),
        "Parotid_R": parotid(how, "R"),
        "Parotid_L": parotid(how, "L"),
        "Larynx": larynx(how),
        "Mandible": mandible(how),
        "Esophagus": esophagus(how),
    }


def _scanned(painting: Painting, grid: Grid, how: HeadNeckParameters) -> NDArray[np.int16]:
    """Blur, couch and noise; the air stays air."""
    hu = painting.hu_zyx
    blur = tuple(0.55 / s if s < 1.4 else 0.0 for s in grid.spacing_zyx_mm[1:])
    hu = gaussian_filter(hu, (0.0, *blur))
    if how.couch:
        _lay_on_couch(hu, painting.body_zyx, grid)
    window = bounding_box(painting.body_zyx)
    if window is not None:
        noise = scanner_noise(painting.body_zyx[window], grid.spacing_zyx_mm, how.noise_hu, how.seed)
        hu[window] += noise * np.clip((hu[window] - AIR_HU) / 300, 0, 1)
    return np.clip(np.round(hu), -1000, 3071).astype(np.int16)


def _lay_on_couch(hu: NDArray[np.float32], body: NDArray[np.bool_], grid: Grid) -> None:
    """A table top of carbon fibre and foam under the back, a foam rest under the head."""
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
    rest = (np.abs(x)[None, :] < 105) & (y[:, None] > -75) & (y[:, None] <= 1.0)
    top = grid.origin_lps[2] + grid.spacing_zyx_mm[0] * np.arange(grid.shape_zyx[0])
    under_head = (top > -95)[:, None, None] & _behind(body) & rest[None]
    support = np.where(under_head, np.float32(-955), np.broadcast_to(board, hu.shape))
    np.copyto(hu, support, where=air & (support > AIR_HU))


def _behind(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels with some of the patient in front of them."""
    return np.logical_or.accumulate(body, axis=1)
