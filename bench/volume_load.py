"""From 200 CT files to one HU volume in memory: reading included, imports and the first call's set-up excluded.

    python bench/volume_load.py FOLDER

The last line on stdout is JSON: secs, sum (of all HU, to show that the volume is the same), rss_mib, cpu.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from imaging.ct.series import SourceFile, read_ct


def main() -> None:
    """Read the folder once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    files = sorted(parser.parse_args().folder.iterdir())
    start = time.perf_counter()
    series = read_ct([SourceFile(name=file.name, data=file.read_bytes()) for file in files])
    secs = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "secs": round(secs, 4),
        "sum": int(series.volume.array_zyx.sum(dtype=np.int64)),
        "shape": str(series.volume.grid.shape_zyx),
        "dtype": str(series.volume.array_zyx.dtype),
        "rss_mib": round(usage.ru_maxrss / 1024, 1),
        "cpu": round(usage.ru_utime + usage.ru_stime, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
