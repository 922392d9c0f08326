"""nnU-Net v2 result folders, or the zip of ``nnUNetv2_export_model_to_zip``: one configuration with its folds.

Options: ``configuration`` (2d, 3d_lowres, 3d_fullres: if the source holds several), ``folds`` (numbers or "all";
default: every fold that has a checkpoint), ``axes`` (LPS or RAS: if the reader does not determine them),
``modality``, ``step`` and ``precision``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from inference.contract import NetworkDefinition
from inference.contract.nnunet import NnunetPart
from inference.contract.repository import field_faults
from inference.errors import ImportRefused
from inference.importing.draft import ImportDraft, ImportedLabel, Options
from inference.importing.nnunet_checkpoint import load_checkpoint, write_weights
from inference.importing.nnunet_plans import part_numbers, reader_axes
from inference.importing.sources import SourceFiles

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")


def read_nnunet(source: SourceFiles, options: Options, out: Path) -> ImportDraft:
    """Convert one trained configuration; its weights are written into ``out``."""
    trained = find_trained(source, options)
    part = read_part(trained, options, out, number=0)
    axes = options.get("axes") or reader_axes(trained.json("plans.json"))
    return ImportDraft(
        runtime={
            "kind": "nnunet",
            "parts": [part.numbers.model_dump(mode="json")],
            "axes": axes or "LPS",
            "precision": options.get("precision") or "float32",
        },
        labels=tuple(
            ImportedLabel(name=name, selects={"part": 0, "values": list(values)})
            for name, values in part.labels.items()
        ),
        modality=part.modality,
        intensities="HU" if part.modality == "CT" else "normalised",
        files=part.numbers.folds,
        maker="nnU-Net v2",
        facts=part.facts,
        warnings=part.warnings,
        needs_axes=axes is None,
    )


class TrainedPart:
    """One trained configuration as it was read."""

    def __init__(self, numbers: NnunetPart, labels: Mapping[str, tuple[int, ...]], modality: Any) -> None:
        """Take its parameters; ``labels``: values of the label map by structure name."""
        self.numbers, self.labels, self.modality = numbers, labels, modality
        self.facts: tuple[str, ...] = ()
        self.warnings: tuple[str, ...] = ()


def find_trained(source: SourceFiles, options: Options) -> SourceFiles:
    """Return the folder with plans.json, dataset.json and folds; ImportRefused where there is not exactly one."""
    folders = [path.rpartition("plans.json")[0].rstrip("/") for path in source.ending("plans.json")]
    wanted = options.get("configuration")
    found = [
        folder
        for folder in folders
        if f"{folder}/dataset.json".lstrip("/") in source.files
        and any(path.startswith(f"{folder}/fold_".lstrip("/")) for path in source.files)
        and (wanted is None or folder.endswith(f"__{wanted}") or not folder)
    ]
    if len(found) == 1:
        return source.under(found[0])
    if not found:
        raise ImportRefused(
            f"{source.name}: no trained configuration{f' {wanted}' if wanted else ''}: expected a folder "
            "TRAINER__PLANS__CONFIGURATION with plans.json, dataset.json and fold_0/checkpoint_final.pth"
        )
    raise ImportRefused(
        f"{source.name}: several trained configurations: {', '.join(found)}; choose one with --configuration, or give "
        "its folder"
    )


def read_part(trained: SourceFiles, options: Options, out: Path, *, number: int) -> TrainedPart:
    """Convert the folds of one trained configuration into ``out``."""
    plans, dataset = trained.json("plans.json"), trained.json("dataset.json")
    channels = dataset.get("channel_names") or dataset.get("modality") or {}
    if len(channels) != 1:
        raise ImportRefused(
            f"{trained.name}: dataset.json has {len(channels)} channels ({', '.join(map(str, channels.values()))}), and a job "
            "here has one series: import a model that was trained on one of them alone, or run this one with "
            "nnUNetv2_predict beside the node"
        )
    labels, heads, regions = read_labels(dataset, trained.name)
    folds = [
        (fold, load_checkpoint(trained.path(path), f"{trained.name}/{path}"))
        for fold, path in _folds(trained, options)
    ]
    first = folds[0][1]
    name = str((first.get("init_args") or {}).get("configuration"))
    fields = part_numbers(plans, name, inputs=1, heads=len(heads)) | {
        "heads": heads,
        "regions": regions,
        "mirror_axes": tuple(first.get("inference_allowed_mirroring_axes") or ())
        if options.get("mirror", True)
        else (),
        "step": options.get("step") or 0.5,
        "folds": tuple(f"part{number}_fold_{fold}.safetensors" for fold, _ in folds),
    }
    try:
        numbers = NnunetPart.model_validate(fields)
    except ValidationError as error:
        raise ImportRefused(f"{trained.name}: plans.json: {field_faults(error)}") from error
    _write(trained.name, numbers, [checkpoint for _, checkpoint in folds], out)
    channel = str(next(iter(channels.values())))
    modality = options.get("modality") or ("CT" if channel.upper() == "CT" else None)
    if modality is None:
        raise ImportRefused(
            f"{trained.name}: dataset.json calls its images {channel!r}; say --modality CT, CBCT or MR"
        )
    part = TrainedPart(numbers, labels, modality)
    part.facts = (
        f"configuration {name}, trainer {first.get('trainer_name')}, epoch {first.get('current_epoch')}, "
        f"folds {', '.join(str(fold) for fold, _ in folds)}, reader {plans.get('image_reader_writer')}",
        f"voxels of {' x '.join(f'{step:g}' for step in numbers.spacing_mm)} mm, patches of "
        f"{' x '.join(map(str, numbers.patch))}, "
        + (
            f"mirrored along the axes {list(numbers.mirror_axes)}"
            if numbers.mirror_axes
            else "no mirrored passes"
        ),
    )
    part.warnings = _warnings(numbers, dataset)
    return part


def read_labels(dataset: Mapping[str, Any], name: str) -> tuple[dict[str, tuple[int, ...]], list[int], bool]:
    """Return each structure's values in the label map, the value that each head writes, whether heads are regions."""
    stated = dataset.get("labels")
    if not isinstance(stated, dict) or stated.get("background") != 0:
        raise ImportRefused(f"{name}: dataset.json: labels must have background as 0")
    ignored = stated.get("ignore")
    named = {key: value for key, value in stated.items() if key != "ignore"}
    structures = {
        str(key): tuple(int(v) for v in value) if isinstance(value, list | tuple) else (int(value),)
        for key, value in named.items()
        if key != "background"
    }
    if not structures:
        raise ImportRefused(f"{name}: dataset.json: labels name no structure")
    values = sorted({value for values in structures.values() for value in values} | {0})
    if values != list(range(len(values))) or (ignored is not None and ignored != len(values)):
        raise ImportRefused(
            f"{name}: dataset.json: labels are not 0, 1, 2 and so on, with ignore as the highest"
        )
    if all(len(value) == 1 for value in structures.values()):
        return structures, values, False
    order = dataset.get("regions_class_order")
    if not isinstance(order, list) or len(order) != len(structures):
        raise ImportRefused(f"{name}: dataset.json: regions need regions_class_order, one value a region")
    return structures, [int(value) for value in order], True


def _folds(trained: SourceFiles, options: Options) -> list[tuple[str, str]]:
    """Return the folds to average, each with its checkpoint's path."""
    present = {
        path.split("/")[0].removeprefix("fold_"): path
        for checkpoint in reversed(CHECKPOINTS)
        for path in trained.files
        if path.startswith("fold_") and path.count("/") == 1 and path.endswith(f"/{checkpoint}")
    }
    asked = options.get("folds")
    wanted = (
        [str(fold) for fold in asked] if isinstance(asked, list) and asked else sorted(set(present) - {"all"})
    )
    wanted = wanted or sorted(present)
    absent = [fold for fold in wanted if fold not in present or not fold.isalnum()]
    if absent or not wanted:
        raise ImportRefused(
            f"{trained.name}: no checkpoint of the folds {', '.join(absent) or '0 to 4'}; there are: "
            f"{', '.join(sorted(present)) or 'none'}"
        )
    return [(fold, present[fold]) for fold in wanted]


def _write(name: str, numbers: NnunetPart, checkpoints: list[dict[str, Any]], out: Path) -> None:
    with torch.inference_mode():
        for file, checkpoint in zip(numbers.folds, checkpoints, strict=True):
            definition = NetworkDefinition(
                architecture=numbers.architecture, parameters=numbers.parameters, weights=file
            )
            write_weights(checkpoint["network_weights"], definition, out, f"{name}: {file}")


def _warnings(numbers: NnunetPart, dataset: Mapping[str, Any]) -> tuple[str, ...]:
    found = []
    if numbers.mirrors_left_and_right:
        found.append(
            "the model was trained, and looks at each image, mirrored left to right: where it has left and right "
            "structures, such models are known to confuse them at times; check the sides on your own cases"
        )
    if dataset.get("labels", {}).get("ignore") is not None:
        found.append("voxels labelled 'ignore' in its training data taught the model nothing")
    return tuple(found)
