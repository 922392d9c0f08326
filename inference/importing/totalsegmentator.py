"""TotalSegmentator's weights: nnU-Net results by task, with the steps that TotalSegmentator adds.

The table totalsegmentator.csv is the part of TotalSegmentator 2.18's own task list (Apache-2.0) that needs nothing
beyond: datasets, voxels, folds, licence. totalsegmentator_labels.csv names the labels of each dataset, from 1 on, and
those of them that its answers leave out: the program goes by a label's number, whatever the weights' dataset.json
calls it. Options: ``task``, ``mode`` (default, fast, fastest), ``resampling_order`` (1, or 3 as before 2.18) and those
of nnU-Net.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from inference.errors import ImportRefused
from inference.importing.draft import ImportDraft, ImportedLabel, Options
from inference.importing.nnunet import TrainedPart, find_trained, read_part
from inference.importing.sources import SourceFiles

_TASKS = Path(__file__).with_name("totalsegmentator.csv")
_LABELS = Path(__file__).with_name("totalsegmentator_labels.csv")
_TOTAL_STEP = 0.8  # of tiles, for the tasks total...
_STEP = 0.5


def task_row(task: str, mode: str) -> dict[str, str]:
    """Return a task's line of the table; ImportRefused for one that is not in it."""
    rows = _table(_TASKS)
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


def task_labels(task: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return, by dataset, the names of a task's labels in the order of their numbers, and those left out."""
    return {
        row["dataset"]: (row["labels"].split(), row["left_out"].split())
        for row in _table(_LABELS)
        if row["task"] == task
    }


def _table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def read_totalsegmentator(source: SourceFiles, options: Options, out: Path) -> ImportDraft:
    """Convert the networks of a task; several networks become one model."""
    row = task_row(str(options.get("task")), str(options.get("mode") or "default"))
    parts = [
        read_part(_dataset(source, number, row), _part_options(row, options), out, number=index)
        for index, number in enumerate(row["datasets"].split())
    ]
    labels, renamed = _labels(row, parts)
    voxel = [float(step) for step in row["voxel_xyz_mm"].split()][::-1] or None
    return ImportDraft(
        runtime={
            "kind": "nnunet",
            "parts": [part.numbers.model_dump(mode="json") for part in parts],
            "axes": "RAS",  # of the canonical images that it hands to nnU-Net, whichever reader
            "precision": options.get("precision") or "float32",
            "totalsegmentator": {"voxel_zyx_mm": voxel, "order": options.get("resampling_order") or 1},
        },
        labels=labels,
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
            + "labels back to the image by the nearest voxel",
            *(fact for part in parts for fact in part.facts),
        ),
        warnings=(*_warnings(row), *renamed),
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
    # TotalSegmentator runs without mirrored passes, whatever the trainer allowed
    return {"step": step, "folds": folds, "modality": row["modality"], "mirror": False}


def _labels(
    row: Mapping[str, str], parts: Sequence[TrainedPart]
) -> tuple[tuple[ImportedLabel, ...], tuple[str, ...]]:
    """Return the structures by the program's names, and what to warn of where the weights have other ones."""
    tables = task_labels(row["task"])
    labels: list[ImportedLabel] = []
    renamed: list[str] = []
    for index, (dataset, part) in enumerate(zip(row["datasets"].split(), parts, strict=True)):
        names, left_out = tables[dataset]
        for own_name, values in part.labels.items():
            if len(values) != 1 or values[0] > len(names):
                raise ImportRefused(
                    f"Dataset{int(dataset):03d}: dataset.json: {own_name} = {', '.join(map(str, values))} is none of the "
                    f"{len(names)} labels of TotalSegmentator's task {row['task']}, whose numbers say what they mean; "
                    "weights with labels of your own are imported as nnunet"
                )
            name = names[values[0] - 1]
            if name != own_name:
                renamed.append(f"{name} (number {values[0]}, {own_name})")
            if name not in left_out:
                labels.append(ImportedLabel(name=name, selects={"part": index, "values": list(values)}))
        if len(part.labels) < len(names):
            renamed.append(
                f"{len(names) - len(part.labels)} labels of dataset {dataset} that the weights lack"
            )
    if not renamed:
        return tuple(labels), ()
    return tuple(labels), (
        "TotalSegmentator goes by the numbers of labels, and so does this model; the weights' own dataset.json has "
        f"other names or fewer labels: {', '.join(renamed)}. Check these structures, above all their sides",
    )


def _warnings(row: Mapping[str, str]) -> tuple[str, ...]:
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
    return tuple(found)
