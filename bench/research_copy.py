"""The cost of a research copy of a 512 x 512 CT slice, compared with reading and writing it with pydicom alone.

python -m bench.research_copy [--slices 60] [--repeat 7]
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import pydicom

from imaging.deidentify import DeidentificationOptions, ProjectKey, deidentify
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from phantoms.dicom import ct_files

KEY = ProjectKey(bytes(range(32)))
OPTIONS = DeidentificationOptions()


def main() -> None:
    """Print the medians of interleaved rounds, in milliseconds of processor time per slice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    files = [file.data for file in ct_files(_volume(arguments.slices))]
    acts: dict[str, Callable[[bytes], object]] = {
        "pydicom": _read_and_write,
        "research copy": lambda data: deidentify(data, KEY, OPTIONS),
    }
    figures: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(arguments.repeat):
        for name, act in acts.items():
            figures[name].append(_ms_a_file(act, files))
    medians = {name: statistics.median(values) for name, values in figures.items()}
    for name, median in medians.items():
        print(f"{name}: {median:.2f} ms a slice")
    print(f"ratio: {medians['research copy'] / medians['pydicom']:.2f}")


def _ms_a_file(act: Callable[[bytes], object], files: Sequence[bytes]) -> float:
    began = time.process_time()
    for data in files:
        act(data)
    return 1000 * (time.process_time() - began) / len(files)


def _read_and_write(data: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    for element in dataset:  # decoded, which a search for names requires
        _ = element.value
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def _volume(slices: int) -> Volume:
    noise = np.random.default_rng(1).integers(-1000, 1500, (512, 512))
    grid = Grid(
        shape_zyx=(slices, 512, 512),
        origin_lps=(-250.0, -250.0, 0.0),
        spacing_zyx_mm=(2.0, 0.98, 0.98),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    return Volume(array_zyx=np.repeat(noise[None], slices, axis=0).astype(np.int16), grid=grid)


if __name__ == "__main__":
    main()
