"""The act `models import`: turn a foreign model into a tested version in this node's repository, or do nothing."""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.dicom_folder import DicomFolder
from evaluation.errors import EvaluationRefused
from evaluation.maker_answers import read_image
from imaging.volumes.orientation import canonical
from imaging.volumes.volume import Volume
from inference.contract import ModelContract
from inference.errors import ImportRefused
from inference.importing.card import CARD_FILE
from inference.importing.converter import convert
from inference.importing.draft import ImportDraft, ImportRequest, Options
from inference.importing.isolation import Limits
from inference.importing.labels import COLUMNS, LabelRow, proposed, read_table, write_table
from inference.importing.package import Answers, build_version, next_version, publish, staging, write_card
from inference.importing.self_tested import SelfTest, run_self_test, settle_axes, settle_precision
from phantoms.coarse import coarse_phantom
from service.application import Operation, change_models
from service.cli.audit import administrator
from service.cli.output import print_table, say
from service.components import opened_store

# Arguments that are not options of a converter.
_OURS = frozenset(
    {"act", "format", "source", "name", "body_region", "licence", "data", "citation", "description", "labels"}
    | {"memory_gib", "precision_on", "settings", "settings_tree", "command", "words"}
)
_QUESTIONS = {
    "body_region": "the part of the body that the model is for (head, head_neck, thorax, abdomen, pelvis, extremity, "
    "whole_body)",
    "licence": "the licence of the weights, as stated by their authors",
    "data": "what the model was trained on",
    "citation": "the citation that its authors ask for",
}


def run_import(arguments: argparse.Namespace) -> int:
    """Import one model; if anything is wrong, raise ImportRefused and leave the repository unchanged."""
    answers = _answers(arguments)
    repository: Path = arguments.settings_tree.triton.model_repository
    # open the store first: without one, minutes of work would be lost
    with opened_store(arguments.settings_tree) as store, staging(repository) as stage:
        version = next_version(repository, answers.name)
        draft, isolation = _converted(arguments, stage / "weights")
        rows = _rows(arguments.labels, [label.name for label in draft.labels])
        if rows is None:
            return 0
        folder = stage / "model" / str(version)
        contract = build_version(draft, rows, answers, folder, stage / "weights")
        phantom, limits = stage / "phantom.npz", Limits(memory_gib=arguments.memory_gib)
        contract, test = _tested(contract, folder, phantom, draft, arguments)
        image = _precision_image(arguments, contract, stage / "image.npz") or (phantom, "the phantom")
        contract, precision = settle_precision(contract, folder, image, limits)
        said = [*test.words(), *([precision] if precision else [])]
        remarks = [*said, *test.warnings(), f"the converter ran with {isolation}"]
        write_card(contract, draft, rows, remarks, folder)
        what = f"{contract.name} version {version} imported from {arguments.source.name}, {draft.maker}"
        move = partial(publish, contract, folder, repository)
        change_models(store.database, administrator(), Operation.MODELS_IMPORT, move, what)
    _show(contract, draft, rows, test, said)
    target = repository / contract.name / str(version)
    say(
        "",
        f"{contract.name} version {version} is in {target}; its card: {target / CARD_FILE}",
        *_next(contract),
    )
    return 0


def _converted(arguments: argparse.Namespace, weights: Path) -> tuple[ImportDraft, str]:
    weights.mkdir()
    options: Options = {
        key: value for key, value in vars(arguments).items() if key not in _OURS and value is not None
    }
    request = ImportRequest(
        importer=arguments.format, source=arguments.source.resolve(), options=_plain(options), out=weights
    )
    return convert(request, Limits(memory_gib=arguments.memory_gib))


def _tested(
    contract: ModelContract, folder: Path, phantom: Path, draft: ImportDraft, arguments: argparse.Namespace
) -> tuple[ModelContract, SelfTest]:
    """Run the self-test; axes stated by the user are not questioned, only reported."""
    _save(coarse_phantom(contract.body_region), phantom)

    def test() -> SelfTest:
        return run_self_test(folder, phantom, Limits(memory_gib=arguments.memory_gib))

    if vars(arguments).get("axes"):
        return contract, test()
    return settle_axes(contract, folder, test, needs_axes=draft.needs_axes)


def _precision_image(
    arguments: argparse.Namespace, contract: ModelContract, file: Path
) -> tuple[Path, str] | None:
    """Write the image of ``--precision-on`` for the self-test; None if none is given. ImportRefused names the image."""
    path: Path | None = vars(arguments).get("precision_on")
    if path is None:
        return None
    try:
        if path.is_dir():
            volume = DicomFolder.of(path).read_ct().volume
        else:
            volume, _ = read_image(path, is_hu=contract.in_hounsfield_units)
    except EvaluationRefused as reason:
        raise ImportRefused(f"--precision-on: {reason}") from reason
    _save(canonical(volume), file)
    return file, path.name


def _save(volume: Volume, file: Path) -> None:
    np.savez(file, image=volume.array_zyx, spacing_mm=np.array(volume.grid.spacing_zyx_mm))


def _plain(options: Mapping[str, Any]) -> Options:
    return {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}


def _answers(arguments: argparse.Namespace) -> Answers:
    """Ask for missing answers on a terminal; otherwise raise ImportRefused naming the options."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", arguments.name):
        raise ImportRefused(f"--name {arguments.name!r}: must start with a-z and contain only a-z, 0-9 and _")
    missing = [key for key in _QUESTIONS if not getattr(arguments, key)]
    if missing and not sys.stdin.isatty():
        options = ", ".join(f"--{key.replace('_', '-')}" for key in missing)
        raise ImportRefused(
            f"an import also needs {options}: the model card and the licence of the weights are required"
        )
    given = {key: getattr(arguments, key) for key in _QUESTIONS}
    for key in missing:
        given[key] = input(f"{_QUESTIONS[key]}: ").strip()
        if not given[key]:
            raise ImportRefused(f"--{key.replace('_', '-')} must not be empty")
    return Answers(
        name=arguments.name,
        description=arguments.description or f"imported from {arguments.source.name}",
        **given,
    )


def _rows(table: Path | None, labels: Sequence[str]) -> tuple[LabelRow, ...] | None:
    """Return the table of structures; None after writing it for the user to edit."""
    if table is None:
        return proposed(labels)
    if table.exists():
        return read_table(table, labels)
    rows = proposed(labels)
    write_table(table, rows)
    _print_rows(rows)
    say(f"{table} written: edit its column `code`, then run the same command again")
    return None


def _show(
    contract: ModelContract,
    draft: ImportDraft,
    rows: Sequence[LabelRow],
    test: SelfTest,
    said: Sequence[str],
) -> None:
    _print_rows(rows)
    own = sum(1 for row in rows if row.code and row.is_own)
    if own:
        say(
            f"{own} of {len(contract.structures)} structures are not in the catalogue: they are delivered under their original "
            "names, without codes (--labels CSV to edit)"
        )
    for line in (*draft.warnings, *test.warnings()):
        say(f"BEWARE: {line}")
    say(*said)


def _print_rows(rows: Sequence[LabelRow]) -> None:
    print_table(COLUMNS, [(row.label, row.code or "(left out)", row.name, row.recognised) for row in rows])


def _next(contract: ModelContract) -> list[str]:
    test = f"next: contour-node models test {contract.name} --images FOLDER --against FOLDER, with the original model's output"
    if contract.version == 1:
        return [
            test,
            f'then: a rule with model = "{contract.name}" in the settings, and `contour-node commission`',
        ]
    return [test, f"then: contour-node models default {contract.name} {contract.version}"]
