"""A structure set of 104 structures compared with one of 7: masks to a validated file for a profile, 512 x 512 x 200.

    python -m bench.many_structures [--profile eclipse] [--rounds 3]

Structures are names of TotalSegmentator's task total with blobs of 3 to 40 cc, each in a different place. Timed are
the steps of a job after inference: extracting each mask from a bit plane, export, write, and validation.
"""

import argparse
import time
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from bench.contours import PRODUCER
from imaging.ct.series import ImageSeries, read_ct
from imaging.export.masks import RoiMask, export
from imaging.export.profiles import PROFILES
from imaging.rtstruct.writing import StructureSetRequest, write_structure_set
from imaging.structures import CATALOGUE, TOTALSEGMENTATOR
from imaging.validation import Severity, validate
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from inference.segment import masks_of
from phantoms.dicom import ct_files

SHAPE, SPACING_MM = (200, 512, 512), (2.5, 0.9765625, 0.9765625)
AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def main() -> None:
    """Print seconds of each step for both sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", choices=sorted(PROFILES), default="eclipse")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    grid = Grid(shape_zyx=SHAPE, origin_lps=(-250.0, -250.0, 0.0), spacing_zyx_mm=SPACING_MM, axes_lps=AXES)
    series = read_ct(ct_files(Volume(array_zyx=np.full(SHAPE, 40, np.int16), grid=grid)))
    names = list(TOTALSEGMENTATOR.values())[:104]
    planes = bit_planes(len(names))
    for _ in range(arguments.rounds):
        for count in (7, len(names)):
            print(
                count,
                " ".join(
                    f"{step} {s:.2f}" for step, s in timed(series, names[:count], planes, arguments.profile)
                ),
            )


def bit_planes(count: int) -> NDArray[np.uint8]:
    """Draw ellipsoids on a lattice, one bit each, as bit planes."""
    planes = np.zeros((-(-count // 8), *SHAPE), np.uint8)
    rng = np.random.default_rng(1)
    for index in range(count):
        centre = np.array([25 + 50 * (index % 4), 70 + 92 * (index // 4 % 5), 60 + 78 * (index // 20)])
        half = rng.uniform((5, 12, 12), (16, 30, 30)).astype(int)
        box = tuple(slice(c - h, c + h + 1) for c, h in zip(centre, half, strict=True))
        points = np.meshgrid(*(np.arange(-h, h + 1) / h for h in half), indexing="ij")
        planes[index // 8][box] |= (sum(p**2 for p in points) <= 1).astype(np.uint8) << np.uint8(index % 8)
    return planes


def timed(
    series: ImageSeries, codes: list[str], planes: NDArray[np.uint8], profile: str
) -> list[tuple[str, float]]:
    """Run the steps and return the seconds of each; SystemExit where validation fails."""
    ticks = [time.perf_counter()]
    masks = masks_of(planes[: -(-len(codes) // 8)], len(codes))
    ticks.append(time.perf_counter())
    request = StructureSetRequest(
        series=series,
        rois=(),
        label="bench",
        description="Synthetic structures.",
        sop_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        producer=PRODUCER,
    )
    rois = [
        RoiMask(structure=CATALOGUE[code], name=CATALOGUE[code].name, mask=mask)
        for code, mask in zip(codes, masks, strict=True)
    ]
    exported = export(request, rois, PROFILES[profile])
    ticks.append(time.perf_counter())
    data = write_structure_set(exported.request)
    ticks.append(time.perf_counter())
    findings = validate(data, PROFILES[profile], masks=exported.masks, series=series)
    ticks.append(time.perf_counter())
    wrong = [finding.message for finding in findings if finding.severity is Severity.ERROR]
    if wrong:
        raise SystemExit(f"the file is not valid: {wrong[0]}")
    steps = ("cut", "export", "write", "gate")
    return [*zip(steps, np.diff(ticks).tolist(), strict=True), ("whole", ticks[-1] - ticks[0])]


if __name__ == "__main__":
    main()
