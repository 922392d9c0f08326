"""Compares two structure sets on one image, in a process of its own: `python -m service.web.comparison.worker`.

A file that somebody dropped can be anything, and the metrics of large structures take seconds of a processor: neither
may hold up, or end, the process that answers all pages. The task comes on standard input: a line of JSON, then the
bytes of both files. The answer goes to standard output as JSON.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import dcmread

from evaluation.contour_set import ContourSet
from evaluation.errors import EvaluationRefused
from evaluation.geometry import compare
from evaluation.pair import MaskPair
from evaluation.placing import place
from evaluation.set_comparison import SetComparison, compare_sets
from evaluation.slices import difference_areas
from imaging.contours.structure_set import Roi, StructureSet
from imaging.ct.identity import StatedPatient, patient_differences
from imaging.errors import PARSE_ERRORS, StructureSetUnreadable
from imaging.rtstruct.reading import read_structure_set
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask
from service.web.comparison.task import ComparisonTask
from service.web.outlines import drawn_set

MOST_PROCESSOR_S = 120
MOST_MEMORY_BYTES = 6 << 30
NICE = 5
"""Below the roles that contour: somebody who looks must not slow them down."""
ONLY_A, ONLY_B, REFUSED = "only in a", "only in b", "not comparable"


class SetRefused(Exception):
    """The second set cannot be compared with the first; the message says why."""


def compared(task: ComparisonTask, a: bytes, b: bytes) -> dict[str, Any]:
    """Compare set B with the job's own set A; the shape of the answer is `ShownComparison`'s.

    Raises:
        SetRefused: B is no structure set, or is of another patient or other images.
    """
    own = read_structure_set(a)
    try:
        other = read_structure_set(b)
    except StructureSetUnreadable as reason:
        raise SetRefused(f"this is no RT Structure Set that can be read: {reason}") from reason
    notes = [*_check_images(task, other), *_check_patient(task, b)]
    try:
        sets = [
            place(one, task.grid, label, frame_of_reference_uid=task.frame_of_reference_uid)
            for one, label in ((own, "A"), (other, "B"))
        ]
        found = compare_sets(sets[0], sets[1], (task.tolerance_mm,))
    except (StructureSetUnreadable, EvaluationRefused) as reason:
        raise SetRefused(str(reason)) from reason
    return {
        "tolerance_mm": task.tolerance_mm,
        "second": drawn_set(other, task.grid),
        "structures": [*_pairs(found, task), *_alone(found)],
        "notes": [*notes, *found.notes],
    }


def _check_images(task: ComparisonTask, other: StructureSet) -> Iterator[str]:
    """Yield what is not certain about the images of a set.

    Raises:
        SetRefused: the set is drawn on others.
    """
    frames = other.frame_of_reference_uids
    if frames and task.frame_of_reference_uid not in frames:
        raise SetRefused(
            "the set lies in another frame of reference (0020,0052) than this job's images: it is drawn on other images"
        )
    images = other.referenced_image_uids
    if other.referenced_series_uids and task.series_uid not in other.referenced_series_uids:
        raise SetRefused(
            "the set refers to another series than this job's (3006,0014): it is drawn on other images"
        )
    if images and not images & set(task.image_uids):
        raise SetRefused(
            "the set refers to none of this job's images (3006,0016): it is drawn on other images"
        )
    if not other.referenced_series_uids:
        if not frames:
            raise SetRefused(
                "the set names neither a series nor a frame of reference: nobody can say on which images it is drawn"
            )
        yield "B names no series; that it is drawn on these images is known by its frame of reference alone"
    unknown = len(images - set(task.image_uids))
    if unknown:
        yield f"B also refers to {unknown} images that are not among this job's"


def _check_patient(task: ComparisonTask, b: bytes) -> Iterator[str]:
    """Yield what is not certain about the patient of a set.

    Raises:
        SetRefused: the set is of another patient; values are not told.
    """
    ours = StatedPatient({keyword: value.encode("latin-1") for keyword, value in task.patient.items()})
    try:
        theirs = StatedPatient.of(dcmread(BytesIO(b), specific_tags=[*task.patient]))
    except PARSE_ERRORS as reason:
        raise SetRefused(f"its patient cannot be read: {reason}") from reason
    differing = patient_differences(ours, theirs)
    if differing:
        raise SetRefused(f"the set is of another patient: {', '.join(differing)} differ from the images'")
    if not theirs.text("PatientID"):
        yield "B states no Patient ID; that it is of this patient is known by its images alone"


def _pairs(found: SetComparison, task: ComparisonTask) -> Iterator[dict[str, Any]]:
    rois = _numbers(found.found), _numbers(found.reference)
    for name, comparison in found.by_structure.items():
        ours, theirs = found.names[name]
        yield {
            "name": name,
            "a": rois[0][ours],
            "b": rois[1][theirs],
            "b_name": theirs,
            "state": comparison.state.value,
            "reason": "",
            "metrics": dict(comparison.values),
            "slices": _slices(found.pair(name), task.grid),
        }
    for name, reason in found.refused.items():
        ours, theirs = found.refused_names[name]
        yield {
            "name": name,
            "a": rois[0][ours],
            "b": rois[1][theirs],
            "b_name": theirs,
            "state": REFUSED,
            "reason": reason,
            "metrics": {},
            "slices": [],
        }


def _alone(found: SetComparison) -> Iterator[dict[str, Any]]:
    """Yield the structures that only one set names, with their volume where they have a mask."""
    for one, names, key, state in (
        (found.found, found.unmatched, "a", ONLY_A),
        (found.reference, found.unmatched_reference, "b", ONLY_B),
    ):
        numbers = _numbers(one)
        for name in names:
            mask = one.masks.get(name)
            yield {
                "name": name,
                "a": numbers.get(name) if key == "a" else None,
                "b": numbers.get(name) if key == "b" else None,
                "b_name": name if key == "b" else "",
                "state": state,
                "reason": one.refused.get(name, ""),
                "metrics": {} if mask is None else _volume(mask, one.grid, is_a=key == "a"),
                "slices": [],
            }


def _volume(mask: Mask, grid: Grid, *, is_a: bool) -> dict[str, float | None]:
    pair = MaskPair.of(*((mask, Mask.empty()) if is_a else (Mask.empty(), mask)), grid)
    name = "volume_cm3" if is_a else "reference_volume_cm3"
    return {name: compare(pair, ()).values[name]}


def _slices(pair: MaskPair, grid: Grid) -> list[list[float]]:
    """Return slice of the volume, mm2 that only A has, mm2 that only B has; slices without a difference are left out.

    The metrics lie on a grid turned to the patient; a slice of the volume crosses one of its axes.
    """
    axis = int(np.abs(np.array(pair.grid.axes_lps) @ np.array(grid.axes_lps[0])).argmax())
    rows = []
    for index, only_a, only_b in difference_areas(pair, axis):
        place_zyx = [0, 0, 0]
        place_zyx[axis] = index
        slice_index = round(float(grid.index_zyx(pair.grid.points_lps(place_zyx))[0]))
        rows.append([slice_index, round(only_a, 3), round(only_b, 3)])
    return sorted(rows)


def _numbers(one: ContourSet) -> dict[str, int]:
    """Return the ROI number of each name; of a name that several ROIs have, the first's."""
    rois: tuple[Roi, ...] = one.structure_set.rois if one.structure_set else ()
    return {roi.name or f"ROI {roi.number}": roi.number for roi in reversed(rois)}


def _main() -> None:
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_PROCESSOR_S, MOST_PROCESSOR_S))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    values = json.loads(sys.stdin.buffer.readline())
    size = values.pop("a_bytes")
    a, b = sys.stdin.buffer.read(size), sys.stdin.buffer.read()
    task = ComparisonTask(**values)
    try:
        answer = compared(task, a, b)
    except SetRefused as reason:
        answer = {"refused": str(reason)}
    except MemoryError:
        answer = {"refused": "the comparison needs more memory than the node gives it"}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    _main()
