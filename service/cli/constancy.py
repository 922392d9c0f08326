"""`contour-node constancy`: contour frozen cases again, on a schedule; any changed voxel is an alarm."""

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from evaluation.constancy import ConstancyResult, Contoured, compare, freeze, is_frozen
from evaluation.errors import EvaluationRefused
from service.cli.local_cases import case_folders, contoured_case, fingerprint, model_server
from service.cli.output import say, say_json
from service.config import Settings
from service.errors import Refused
from service.store import write_constancy
from service.work.case import ContouringResult


def run(arguments: argparse.Namespace) -> int:
    """Freeze the cases, or compare with the frozen contours.

    Return 0 if they are constant, 1 if a voxel changed or a case could not be compared.
    """
    settings: Settings = arguments.settings_tree
    with model_server(settings, arguments.model) as (server, contract):
        environment = fingerprint(settings, contract)
        folders = case_folders(arguments.cases)
        cases = [
            (folder, _contoured(folder.name, contoured_case(folder, contract, server))) for folder in folders
        ]
    if arguments.freeze:
        return _freeze(cases, environment, replace=arguments.replace)
    try:
        result = compare(cases, environment)
    except EvaluationRefused as reason:
        write_constancy(settings.node.storage_dir, ok=False, reason=str(reason))
        raise Refused(str(reason)) from reason
    write_constancy(settings.node.storage_dir, ok=result.is_constant, reason=result.line)
    _record(arguments.cases, result, environment)
    _say(result, as_json=arguments.json)
    return 0 if result.is_constant else 1


def _contoured(case: str, result: ContouringResult) -> Contoured:
    return Contoured(
        case=case,
        volume=result.series.volume,
        masks=result.segmentation.masks.by_code,
        mean_probability=result.segmentation.mean_probability,
    )


def _freeze(cases: list[tuple[Path, Contoured]], environment: dict[str, str], *, replace: bool) -> int:
    """Store the present contours as those to reproduce; Refused if a case is already frozen, unless ``replace``."""
    kept = [folder.name for folder, _ in cases if is_frozen(folder)]
    if kept and not replace:
        raise Refused(f"{', '.join(kept)}: already frozen; --replace replaces it with the present contours")
    for folder, contoured in cases:
        freeze(folder, contoured, environment)
    say(f"{len(cases)} cases are frozen")
    return 0


def _record(folder: Path, result: ConstancyResult, environment: dict[str, str]) -> None:
    """Append the result to the history file next to the cases."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "constant": result.is_constant,
        "result": result.line,
        "environment": environment,
    }
    with (folder / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _say(result: ConstancyResult, *, as_json: bool) -> None:
    if as_json:
        content = {
            "constant": result.is_constant,
            "cases": result.cases,
            "changes": [asdict(change) for change in result.changes],
            "environment": list(result.environment),
        }
        say_json(content)
        return
    say(*(change.line for change in result.changes), result.line)
