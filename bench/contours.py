"""Masks to an RT Structure Set file: 40 structures on 512 x 512 x 200.

    python bench/contours.py DATA OUT.dcm

DATA holds a CT series in ct0/ and bit-packed masks in labels.npz (names, shape, one array per name). Reading them is
not timed, nor is reading the CT; extract_s is from whole arrays to polygons (cropping included), write_s from polygons
to the file. The last line on stdout is JSON: total_s, extract_s, write_s, load_s, contours, points, mb, rss_mib, cpu.
"""

import argparse
import json
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imaging.contours.exact import contours
from imaging.ct.series import SourceFile, read_ct
from imaging.rtstruct.writing import Producer, RoiContours, StructureSetRequest, write_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.volume import Mask

PRODUCER = Producer(
    manufacturer="Contour Node",
    model_name="Contour Node",
    software_version="bench",
    algorithm_name="bench",
    algorithm_version="1",
)


def masks(file: Path) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each structure's name and whole-volume mask, one at a time."""
    packed = np.load(file)
    shape = tuple(int(n) for n in packed["shape"])
    for name in map(str, packed["names"]):
        yield name, np.unpackbits(packed[name])[: int(np.prod(shape))].reshape(shape).astype(bool)


def main() -> None:
    """Write the file once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    start = time.perf_counter()
    files = sorted((asked.data / "ct0").iterdir())
    series = read_ct([SourceFile(name=file.name, data=file.read_bytes()) for file in files])
    load_s, extract_s = time.perf_counter() - start, 0.0
    rois = []
    for name, full in masks(asked.data / "labels.npz"):
        structure = replace(CATALOGUE["Larynx"], name=name)
        start = time.perf_counter()
        found = contours(Mask.from_full(full), series.volume.grid)
        extract_s += time.perf_counter() - start
        rois.append(RoiContours(structure=structure, name=name, contours=found))
    request = StructureSetRequest(
        series=series,
        rois=rois,
        label="bench",
        description="Synthetic structures.",
        sop_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        producer=PRODUCER,
    )
    start = time.perf_counter()
    asked.out.write_bytes(write_structure_set(request))
    write_s = time.perf_counter() - start
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "total_s": round(extract_s + write_s, 3),
        "extract_s": round(extract_s, 3),
        "write_s": round(write_s, 3),
        "load_s": round(load_s, 3),
        "contours": sum(len(roi.contours) for roi in rois),
        "points": sum(len(contour.points_lps) for roi in rois for contour in roi.contours),
        "mb": round(asked.out.stat().st_size / 1e6, 2),
        "rss_mib": round(usage.ru_maxrss / 1024, 1),
        "cpu": round(usage.ru_utime + usage.ru_stime, 3),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
