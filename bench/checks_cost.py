"""The cost of the checks before inference on a 512 x 512 x 200 CT: headers compared, values examined.

python -m bench.checks_cost [--repeat 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from imaging.ct.headers import header_of
from imaging.ct.identity import check_one_patient
from imaging.ct.plausible_hu import check_hounsfield, check_neighbours
from imaging.ct.raw_slice import read_raw
from imaging.ct.series import read_ct
from imaging.ct.stack import check_stack
from imaging.ct.units import check_units
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from phantoms.dicom import ct_files

SHAPE = (200, 512, 512)


def main() -> None:
    """Print medians in seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    files = ct_files(_volume())
    series = read_ct(files)
    raws = [read_raw(file.data, file.name) for file in files]
    headers = [header_of(raw) for raw in raws]
    figures = {
        "read_ct, with every check of headers and bits": lambda: read_ct(files),
        "unit": lambda: [check_units(raw) for raw in raws],
        "one patient": lambda: check_one_patient(headers),
        "stack, acquisitions, spacing": lambda: check_stack(headers),
        "Hounsfield units": lambda: check_hounsfield(series.volume),
        "neighbours": lambda: check_neighbours(series.volume),
    }
    for name, act in figures.items():
        print(f"{name}: {_median(act, repeat):.3f} s")


def _volume() -> Volume:
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    body = ((x - 256) / 200) ** 2 + ((y - 256 - 0.1 * z) / 140) ** 2 < 1
    noise = np.random.default_rng(1).integers(-20, 20, SHAPE[1:])
    array = (np.where(body, 40, -1000) + noise).astype(np.int16)
    grid = Grid(
        shape_zyx=SHAPE,
        origin_lps=(-250.0, -250.0, 0.0),
        spacing_zyx_mm=(2.0, 0.98, 0.98),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    return Volume(array_zyx=array, grid=grid)


def _median(act: Callable[[], object], repeat: int) -> float:
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
