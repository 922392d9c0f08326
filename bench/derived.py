"""Times derived structures and the patient's outline on a CT of 512 x 512 x 200: CPU seconds of one process, one core.

python -m bench.derived
"""

import resource
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from imaging.masks.body import body_of
from imaging.masks.margins import Margin, contract, expand, keep_inside, ring
from imaging.masks.morphology import smoothed, union, without_holes_in_slices
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume

Result = TypeVar("Result")
SHAPE, SPACING = (200, 512, 512), (2.5, 0.9765625, 0.9765625)
GRID = Grid(
    shape_zyx=SHAPE,
    origin_lps=(-250.0, -250.0, 0.0),
    spacing_zyx_mm=SPACING,
    axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


def ball(centre_mm: tuple[float, float, float], radii_mm: tuple[float, float, float]) -> Mask:
    """Return an ellipsoid, with centre (from voxel (0, 0, 0)) and radii in mm, z, y, x."""
    z, y, x = (
        ((np.arange(n) * s - c) / r) ** 2
        for n, s, c, r in zip(SHAPE, SPACING, centre_mm, radii_mm, strict=True)
    )
    return Mask.from_full(z[:, None, None] + y[:, None] + x <= 1)


def patient() -> Volume:
    """Return a trunk with lungs and noise on a hollow couch."""
    rng = np.random.default_rng(0)
    hu = np.full(SHAPE, -1000, np.int16)
    trunk = ball((250, 240, 250), (900, 110, 180)).full(SHAPE)
    hu[trunk] = 20
    for x_mm in (170.0, 330.0):
        hu[ball((250, 230, 250 + (x_mm - 250)), (200, 70, 60)).full(SHAPE)] = -800
    hu[:, 358:412, 20:490] = -300
    hu[:, 361:409, 23:487] = -950
    hu += rng.integers(-15, 16, SHAPE, np.int16)
    return Volume(array_zyx=hu, grid=GRID)


def main() -> None:
    """Print one line per task."""
    ctv = union(ball((250, 240, 250), (45, 40, 45)), ball((270, 260, 290), (30, 30, 30)))
    forty = [ball((60 + 9 * k, 200 + 2 * k, 150 + 5 * k), (20, 15, 18)) for k in range(40)]
    volume = patient()
    body = run("outline of the patient", lambda: body_of(volume))
    run("CTV + 6 mm", lambda: expand(ctv, GRID, Margin.uniform(6)))
    run("CTV + 8 mm", lambda: expand(ctv, GRID, Margin.uniform(8)))
    run(
        "CTV + 8 mm inside the body by 3 mm",
        lambda: keep_inside(expand(ctv, GRID, Margin.uniform(8)), body, GRID, 3),
    )
    run("ring of 5 to 30 mm round the CTV", lambda: ring(ctv, GRID, 5, 30))
    run("CTV smoothed by 3 mm", lambda: smoothed(ctv, GRID, 3))
    run("40 structures + 5 mm", lambda: [expand(mask, GRID, Margin.uniform(5)) for mask in forty])
    run("body - 5 mm", lambda: contract(body, GRID, Margin.uniform(5)))
    run("body, holes filled", lambda: without_holes_in_slices(body))
    print(
        f"largest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


def run(what: str, task: Callable[[], Result]) -> Result:
    """Carry the task out once, and print its CPU time."""
    begin = time.process_time()
    result = task()
    voxels = f"{result.voxels():>10}" if isinstance(result, Mask) else " " * 10
    print(f"{what:40} {time.process_time() - begin:7.3f} s {voxels}")
    return result


if __name__ == "__main__":
    main()
