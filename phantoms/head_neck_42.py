"""Head-and-neck phantoms with the 42 organs of SOARS."""

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Masks, Volume
from phantoms.anatomy.strata import strata, strata_layers
from phantoms.canvas import paint
from phantoms.head_neck import anatomy, head_neck_grid
from phantoms.parameters import HeadNeckParameters
from phantoms.phantom import Phantom
from phantoms.pose import Pose
from phantoms.scan import scanned


def make_head_neck_42(parameters: HeadNeckParameters | None = None, grid: Grid | None = None) -> Phantom:
    """Return the head-and-neck patient of ``parameters`` with the 42 organs painted in.

    The same arguments give the same bytes.
    """
    how = parameters or HeadNeckParameters()
    on = grid or head_neck_grid()
    painting = paint(on, Pose.of(how), [*anatomy(how), *strata_layers(how)], strata(how), how.seed)
    return Phantom(
        volume=Volume(array_zyx=scanned(painting, on, how, head_rest=True), grid=on),
        masks=Masks(grid=on, by_code=painting.masks),
        region="head_neck_42",
        seed=how.seed,
    )
