"""TotalSegmentator's weights: nnU-Net results by task, with the steps that TotalSegmentator adds.

The table totalsegmentator.csv is that part of TotalSegmentator 2.18's own task list (Apache-2.0) that needs no further
steps: datasets, voxels, folds, licence. Options: ``task``, ``mode`` (default, fast, fastest), ``resampling_order`` (1,
or 3 as before 2.18) and those of nnU-Net.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from imaging.structures import TOTALSEGMENTATOR
from inference.errors import ImportRefused
from inference.importing.draft import ImportDraft, ImportedLabel, Options
from inference.importing.nnunet import TrainedPart, find_trained, read_part
from inference.importing.sources import SourceFiles

_TABLE = Path(__file__).with_name("totalsegmentator.csv")
_TOTAL_STEP = 0.8  # of tiles, for the tasks total...
_STEP = 0.5


def task_row(task: str, mode: str) -> dict[str, str]:
    """Return a task's row of the table; ImportRefused for a task that is not in it."""
    with _TABLE.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    for row in rows:
        if (row["task"], row["mode"]) == (task, mode):
            return row
    modes = [row["mode"] for row in rows if row["task"] == task]
    if modes:
        raise ImportRefused(
            f"TotalSegmentator's task {task} has no mode {mode}; there are: {', '.join(modes)}"
        )
    known = ", ".join(dict.fromkeys(row["task"] for row in rows))
    raise ImportRefused(
        f"TotalSegmentator's task {task!r} is not known here, or needs steps that are not; known are: {known}. Its "
        "network alone can be imported as nnunet"
    )


def read_totalsegmentator(source: SourceFiles, options: Options, out: Path) -> ImportDraft:
    """Convert the networks of a task; several networks become one model."""
    row = task_row(str(options.get("task")), str(options.get("mode") or "default"))
    parts = [
        read_part(_dataset(source, number, row), _part_options(row, options), out, number=index)
        for index, number in enumerate(row["datasets"].split())
    ]
    voxel = [float(step) for step in row["voxel_xyz_mm"].split()][::-1] or None
    return ImportDraft(
        runtime={
            "kind": "nnunet",
            "parts": [
                # TotalSegmentator runs without mirrored passes, whatever the trainer allowed
                part.numbers.model_copy(update={"mirror_axes": ()}).model_dump(mode="json")
                for part in parts
            ],
            "axes": "RAS",  # those of the canonical images that it passes to nnU-Net, whatever the reader
            "precision": options.get("precision") or "float32",
            "totalsegmentator": {"voxel_zyx_mm": voxel, "order": options.get("resampling_order") or 1},
        },
        labels=_labels(parts),
        modality="MR" if row["modality"] == "MR" else "CT",
        intensities="normalised" if row["modality"] == "MR" else "HU",
        files=tuple(file for part in parts for file in part.numbers.folds),
        maker="TotalSegmentator 2.18's task " + row["task"] + f" ({row['mode']}), nnU-Net v2",
        facts=(
            "run as TotalSegmentator: canonical axes, "
            + (
                f"voxels of {' x '.join(row['voxel_xyz_mm'].split())} mm (x y z) in whole numbers, "
                if voxel
                else ""
            )
            + "no mirrored passes, labels back to the image by the nearest voxel",
            *(fact for part in parts for fact in part.facts),
        ),
        warnings=_warnings(row, parts),
    )


def _dataset(source: SourceFiles, number: str, row: Mapping[str, str]) -> SourceFiles:
    """Return the trained configuration of a dataset by its number."""
    prefix = f"Dataset{int(number):03d}_"
    folders = {
        "/".join(parts[: index + 1])
        for parts in (path.split("/") for path in source.files)
        for index, name in enumerate(parts[:-1])
        if name.startswith(prefix)
    }
    if len(folders) != 1:
        raise ImportRefused(
            f"{source.name}: {len(folders)} folders {prefix}*, expected one; the task {row['task']} ({row['mode']}) needs "
            f"the datasets {row['datasets']}: download them with totalseg_download_weights where there is internet, and "
            "copy the folder nnunet/results"
        )
    return find_trained(source.under(folders.pop()), {"configuration": row["configuration"]})


def _part_options(row: Mapping[str, str], options: Options) -> Options:
    step = _TOTAL_STEP if row["task"].startswith("total") else _STEP
    folds: JsonValue = options.get("folds") or [*row["folds"].split()]
    return {"step": step, "folds": folds, "modality": row["modality"]}


def _labels(parts: list[TrainedPart]) -> tuple[ImportedLabel, ...]:
    labels = [
        ImportedLabel(name=name, selects={"part": index, "values": list(values)})
        for index, part in enumerate(parts)
        for name, values in part.labels.items()
    ]
    names = [label.name for label in labels]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ImportRefused(f"two of the task's networks give the structures {', '.join(twice)}")
    return tuple(labels)


def _warnings(row: Mapping[str, str], parts: list[TrainedPart]) -> tuple[str, ...]:
    found = []
    if row["commercial"] == "yes":
        found.append(
            f"the weights of {row['task']} are not free: TotalSegmentator gives them out under a licence number, for "
            "non-commercial use without a fee; keep yours with this card"
        )
    if row["crops"] == "yes":
        found.append(
            "TotalSegmentator first crops the image to the task's region, found by a rough model; this node looks at the "
            "whole image, which takes longer and may find something elsewhere"
        )
    unknown = [name for part in parts for name in part.labels if name not in TOTALSEGMENTATOR]
    if row["task"] == "total" and unknown:
        found.append(f"names that are not among the task's 117: {', '.join(unknown)}")
    return tuple(found)
