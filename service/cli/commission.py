"""`contour-node commission`: contour local cases, compare with acceptance criteria, write a report to sign."""

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from evaluation.cohort import CohortResult, Options, evaluate_cohort
from evaluation.criteria import Criteria, Judgement, accepted, judge, load_criteria
from evaluation.errors import EvaluationRefused
from evaluation.fingerprint import file_sha256
from evaluation.nifti import write_mask
from evaluation.patients import CohortFolders, PatientFolder
from evaluation.report.commissioning import commissioning_page
from evaluation.report.page import write_page
from evaluation.report.study import worst_rows
from evaluation.report.writing import WORST, draw, write_values
from imaging.volumes.volume import Masks
from service.cli.local_cases import (
    case_folders,
    contoured_case,
    fingerprint,
    model_server,
    reference_of,
    tg263_name,
)
from service.cli.output import say
from service.config import Settings
from service.errors import Refused

NODE = "node"


def run(arguments: argparse.Namespace) -> int:
    """Contour every case and judge; return 0 if every criterion is met, else 1 with the reasons."""
    settings: Settings = arguments.settings_tree
    try:
        criteria = load_criteria(arguments.criteria)
        facts = _contour(settings, criteria, arguments)
        folders = _folders(arguments)
        options = Options(reference=arguments.reference_set, tolerances_mm=criteria.tolerances_mm)
        cohort = evaluate_cohort(folders, options, arguments.processes)
    except EvaluationRefused as reason:
        raise Refused(str(reason)) from reason
    judged = judge(criteria, cohort)
    reasons = accepted(criteria, cohort, judged)
    write_values(cohort, arguments.out)
    _write_verdict(arguments.out / "commissioning.json", facts, judged, reasons)
    worst = [
        (row, png)
        for row in worst_rows(cohort, WORST)
        for png in draw(_of(folders, row.patient), options, [(row.set_label, row.structure)]).values()
    ]
    page = commissioning_page(criteria, cohort, judged, facts, worst)
    for path in write_page(page, arguments.out / "commissioning"):
        say(f"{path}")
    _say(cohort, judged, reasons)
    return 1 if reasons else 0


def _contour(settings: Settings, criteria: Criteria, arguments: argparse.Namespace) -> dict[str, str]:
    """Contour every case into the output folder; return the model and software that did it."""
    with model_server(settings, criteria.model) as (server, contract):
        for case in case_folders(arguments.cases):
            result = contoured_case(case, contract, server)
            _write_masks(result.segmentation.masks, _node_set(arguments, case))
        return {
            "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            **fingerprint(settings, contract),
            "criteria": f"{arguments.criteria.name}, SHA-256 {file_sha256(arguments.criteria)}",
            "cases": ", ".join(case.name for case in case_folders(arguments.cases)),
        }


def _write_masks(masks: Masks, folder: Path) -> None:
    """Write each structure as an image mask, voxel for voxel as the node found it."""
    folder.mkdir(parents=True, exist_ok=True)
    for code, mask in masks.by_code.items():
        write_mask(folder / f"{tg263_name(code)}.nii.gz", mask, masks.grid)


def _folders(arguments: argparse.Namespace) -> CohortFolders:
    """Return the clinic's cases with the node's masks as another set."""
    every = [
        PatientFolder(
            name=case.name,
            sets={
                arguments.reference_set: reference_of(case, arguments.reference_set),
                NODE: _node_set(arguments, case),
            },
            ct=case / "ct",
        )
        for case in case_folders(arguments.cases)
    ]
    return CohortFolders(patients=tuple(every), incomplete=())


def _node_set(arguments: argparse.Namespace, case: Path) -> Path:
    out: Path = arguments.out
    return out / "masks" / case.name


def _of(folders: CohortFolders, name: str) -> PatientFolder:
    return next(patient for patient in folders.patients if patient.name == name)


def _write_verdict(path: Path, facts: dict[str, str], judged: list[Judgement], reasons: list[str]) -> None:
    content = {
        "accepted": not reasons,
        "reasons": reasons,
        "tried": facts,
        "criteria": [
            {
                "structure": j.structure,
                "metric": j.criterion.metric,
                "statistic": j.criterion.statistic.value,
                "limit": j.criterion.limit,
                "value": j.value,
                "cases": j.cases,
                "met": j.met,
                "reason": j.reason,
            }
            for j in judged
        ],
    }
    path.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def _say(cohort: CohortResult, judged: list[Judgement], reasons: list[str]) -> None:
    for j in judged:
        if not j.met:
            shown = "no value" if j.value is None else f"{j.value:.3f}"
            say(
                f"not met: {j.structure}: {j.criterion.statistic.value} of {j.criterion.metric} {j.criterion.limit}: "
                f"{shown}, {j.reason}"
            )
    for reason in reasons:
        say(f"not accepted: {reason}")
    if not reasons:
        say(f"{len(cohort.patients)} cases meet every criterion")
