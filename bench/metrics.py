"""Surface distances of 40 structures on 512 x 512 x 200 voxels: seconds, memory, and values as other programs give.

    python bench/metrics.py border|area DATA [LIMIT]

DATA holds `labels.npz` and `spec.json`; each mask is compared with a shifted, partly eroded copy of it, on whole
volumes. Prints one line of JSON: seconds, the four values of each structure, peak memory.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from evaluation.distances import border_distances
from evaluation.overlap import overlap_values
from evaluation.pair import MaskPair
from evaluation.surfels import surfel_distances, weighted_percentile
from imaging.volumes.grid import Grid
from imaging.volumes.volume import bounding_box

TOLERANCE_MM = 2.0


def main() -> None:
    """Measure by one of the two definitions."""
    kind, data = sys.argv[1], Path(sys.argv[2])
    limit = int(sys.argv[3]) if len(sys.argv) > 3 else 99
    spacing = json.loads((data / "spec.json").read_text())["spacing"][::-1]
    seconds, values = 0.0, {}
    for name, mask in _masks(data / "labels.npz", limit):
        found = _prediction(mask)
        began = time.perf_counter()
        grid = Grid(
            shape_zyx=mask.shape,
            origin_lps=(0.0, 0.0, 0.0),
            spacing_zyx_mm=spacing,
            axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
        )
        pair = MaskPair.of_arrays(found, mask, grid)
        distances = _border(pair) if kind == "border" else _area(pair)
        values[name] = [overlap_values(pair)["dice"], *distances]
        seconds += time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = round(used.ru_utime + used.ru_stime, 3)
    memory = round(used.ru_maxrss / 1024, 1)
    print(
        json.dumps(
            {"secs": round(seconds, 3), "n": len(values), "values": values, "cpu": cpu, "rss_mib": memory}
        )
    )


def _border(pair: MaskPair) -> list[float]:
    pooled = border_distances(pair).pooled
    return [
        float(np.percentile(pooled, 95)),
        float(pooled.mean()),
        float((pooled <= TOLERANCE_MM + 1e-6).mean()),
    ]


def _area(pair: MaskPair) -> list[float]:
    surface = surfel_distances(pair)
    sides = (
        (surface.from_found, surface.found_areas),
        (surface.from_reference, surface.reference_areas),
    )
    within = sum(areas[distances <= TOLERANCE_MM].sum() for distances, areas in sides)
    return [
        max(weighted_percentile(distances, areas, 95) for distances, areas in sides),
        float(np.mean([np.average(distances, weights=areas) for distances, areas in sides])),
        float(within / sum(areas.sum() for _, areas in sides)),
    ]


def _masks(path: Path, limit: int) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    file = np.load(path)
    shape = tuple(int(n) for n in file["shape"])
    for name in file["names"][:limit]:
        bits = np.unpackbits(file[str(name)])[: int(np.prod(shape))]
        yield str(name), bits.reshape(shape).astype(bool)


def _prediction(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the changed copy that other programs get: shifted by (1, 2, -3) voxels, its front half eroded by one."""
    moved = np.roll(mask, (1, 2, -3), (0, 1, 2))
    box = bounding_box(moved)
    assert box is not None
    z, y, x = (slice(max(part.start - 2, 0), part.stop + 2) for part in box)
    crop = moved[z, y, x]
    crop[:, : crop.shape[1] // 2] = ndimage.binary_erosion(crop)[:, : crop.shape[1] // 2]
    return moved


if __name__ == "__main__":
    main()
