"""Head-and-neck phantoms: CT volumes whose organs are known exactly."""

from collections.abc import Mapping

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Masks, Volume
from phantoms.anatomy.chest import chest
from phantoms.anatomy.jaw import jaw, mandible, parotid
from phantoms.anatomy.neck import esophagus, larynx, neck
from phantoms.anatomy.outline import outline
from phantoms.anatomy.skull import brainstem, skull, upper_face
from phantoms.anatomy.spine import cord, spine
from phantoms.canvas import paint
from phantoms.layers import Layer
from phantoms.parameters import HeadNeckParameters
from phantoms.phantom import Phantom
from phantoms.pose import Pose
from phantoms.scan import scanned
from phantoms.shapes import Shape

STRUCTURES = ("Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus")


def head_neck_grid(
    *,
    spacing_zyx_mm: tuple[float, float, float] = (2.75, 0.9765625, 0.9765625),
    shape_zyx: tuple[int, int, int] = (112, 512, 512),
    top_mm: float = 95.0,
) -> Grid:
    """Return a grid round the middle of the phantom.

    The brainstem's lower end lies at (0, 0, 0), ``top_mm`` below the top of the grid.
    """
    dz, dy, dx = spacing_zyx_mm
    nz, ny, nx = shape_zyx
    return Grid(
        shape_zyx=shape_zyx,
        origin_lps=(-(nx - 1) / 2 * dx, 5.0 - (ny - 1) / 2 * dy, top_mm - (nz - 1) * dz),
        spacing_zyx_mm=spacing_zyx_mm,
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )


def make_head_neck(parameters: HeadNeckParameters | None = None, grid: Grid | None = None) -> Phantom:
    """Return the patient of ``parameters`` on ``grid`` (axes +z, +y, +x); the same arguments give the same bytes."""
    how = parameters or HeadNeckParameters()
    on = grid or head_neck_grid()
    painting = paint(on, Pose.of(how), anatomy(how), structures(how), how.seed)
    hu = scanned(painting, on, how, head_rest=True)
    return Phantom(
        volume=Volume(array_zyx=hu, grid=on),
        masks=Masks(grid=on, by_code=painting.masks),
        region="head_neck",
        seed=how.seed,
    )


def anatomy(how: HeadNeckParameters) -> list[Layer]:
    """Return every layer of the patient, in the order in which they are painted."""
    return [*outline(how), *chest(how), *neck_core(how), *skull(how), *upper_face(how), *jaw(how)]


def neck_core(how: HeadNeckParameters) -> list[Layer]:
    """Return the spine, painted over muscles, and then what lies in front of it."""
    return [*neck(how), *spine(how)]


def structures(how: HeadNeckParameters) -> Mapping[str, Shape]:
    """Return the organs' exact shapes, in the straight patient's frame."""
    return {
        "Brainstem": brainstem(how),
        "SpinalCord": cord(how),
        "Parotid_R": parotid(how, "R"),
        "Parotid_L": parotid(how, "L"),
        "Larynx": larynx(how),
        "Mandible": mandible(how),
        "Esophagus": esophagus(how),
    }
