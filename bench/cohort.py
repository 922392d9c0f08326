"""A cohort of 60 patients with 10 structures, from contours to printed pages: seconds and processor seconds.

    .venv/bin/python -m bench.cohort --data ../shared/data/openkbp --out runs/cohort

The patients are OpenKBP's with their 10 clinical structures; the second set is each mask shifted by a voxel and partly
eroded.
"""

import argparse
import json
import resource
import time
from pathlib import Path
from shutil import rmtree

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from service.cli.main import main as contour_node

PATIENTS, STRUCTURES = 60, 10


def main() -> None:
    """Write the cohort, evaluate it, and print the time it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    arguments = parser.parse_args()
    rmtree(arguments.out, ignore_errors=True)
    bits = json.loads((arguments.data / "structures.json").read_text())["bit"]
    for folder in sorted((arguments.data / "train").iterdir())[: arguments.patients]:
        _write(folder, arguments.out / "cohort" / folder.name, bits)
    before, began = _processor_s(), time.perf_counter()
    code = contour_node(
        ["evaluate", "cohort", str(arguments.out / "cohort"), "--out", str(arguments.out / "report")]
    )
    wall, cpu = time.perf_counter() - began, _processor_s() - before
    print(f"exit {code}: {wall:.0f} s, {cpu:.0f} processor seconds in 2 processes")


def _write(source: Path, folder: Path, bits: dict[str, int]) -> None:
    image = sitk.ReadImage(str(source / "structures.nii.gz"))
    drawn = sitk.GetArrayFromImage(image)
    for name, bit in list(bits.items())[:STRUCTURES]:
        mask = ((drawn >> bit) & 1).astype(bool)
        if mask.any():
            for label, array in (("reference", mask), ("changed", _changed(mask))):
                (folder / label).mkdir(parents=True, exist_ok=True)
                out = sitk.GetImageFromArray(array.astype(np.uint8))
                out.CopyInformation(image)  # type: ignore[no-untyped-call]
                sitk.WriteImage(out, str(folder / label / f"{name}.nii.gz"))
    for name in ("ct.nii.gz", "dose.nii.gz"):
        if (source / name).is_file():
            (folder / name).symlink_to((source / name).resolve())


def _changed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    moved = np.roll(mask, (1, 0, 1), (0, 1, 2))
    half = mask.shape[1] // 2
    moved[:, :half] = ndimage.binary_erosion(moved)[:, :half]
    return moved


def _processor_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


if __name__ == "__main__":
    main()
