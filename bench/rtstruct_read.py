"""From an RT Structure Set to one mask per ROI on the CT's grid, reading both included.

    python bench/rtstruct_read.py CT_FOLDER RS.dcm [DATA]

Of the CT only the headers are read. Each mask is unpacked to the whole volume within the measured time (full_s of
secs). With DATA (labels.npz: names, shape, one bit-packed array per name), the masks are compared, outside the time.
The last line on stdout is JSON: secs, rois, voxels, rss_mib, cpu, and with DATA dice_median, dice_worst, dice_hollow.
"""

import argparse
import json
import resource
import time
from pathlib import Path
from statistics import median

import numpy as np

from imaging.ct.headers import parse_header
from imaging.ct.stack import check_stack
from imaging.rtstruct.writing import masks_on_grid, read_structure_set

HEADER_BYTES = 65536


def main() -> None:
    """Read the structure set once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct", type=Path)
    parser.add_argument("structure_set", type=Path)
    parser.add_argument("data", type=Path, nargs="?")
    asked = parser.parse_args()
    start = time.perf_counter()
    heads = (file.open("rb").read(HEADER_BYTES) for file in asked.ct.iterdir())
    grid = check_stack([parse_header(data) for data in heads]).grid
    structure_set = read_structure_set(asked.structure_set.read_bytes())
    masks, names = (
        masks_on_grid(structure_set, grid).by_number,
        {r.number: r.name for r in structure_set.rois},
    )
    del structure_set
    read_s, full_s, packed, full = time.perf_counter() - start, 0.0, {}, None
    for number in masks:  # an ROI that cannot be read has no mask
        start = time.perf_counter()
        del full  # its pages are freed within the measured time, before the next mask's are taken
        full = masks[number].full(grid.shape_zyx)
        full_s += time.perf_counter() - start
        packed[names[number]] = np.packbits(full)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "secs": round(read_s + full_s, 3),
        "full_s": round(full_s, 3),
        "rois": len(packed),
        "voxels": sum(int(np.bitwise_count(bits).sum()) for bits in packed.values()),
        "rss_mib": round(usage.ru_maxrss / 1024, 1),
        "cpu": round(usage.ru_utime + usage.ru_stime, 3),
    }
    if asked.data:
        figures |= _agreement(packed, asked.data / "labels.npz")
    print(json.dumps(figures))


def _agreement(packed: dict[str, np.ndarray], file: Path) -> dict[str, float]:
    """Return the Dice with the masks that the set was made from: median, worst, and median of the hollow ones."""
    truth, dice = np.load(file), {}
    for name, bits in packed.items():
        if name in truth.files:
            both = int(np.bitwise_count(bits & truth[name]).sum())
            dice[name] = 2 * both / int(np.bitwise_count(bits).sum() + np.bitwise_count(truth[name]).sum())
    figures = {"dice_median": median(dice.values()), "dice_worst": min(dice.values())}
    hollow = [value for name, value in dice.items() if "hollow" in name]
    return figures | ({"dice_hollow": median(hollow)} if hollow else {})


if __name__ == "__main__":
    main()
