"""`contour-node evaluate`: compare sets of contours, as a table or as JSON; needs no settings."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.as_json import comparison_json, definitions_json, dose_json
from evaluation.dose_comparison import DoseComparison, compare_doses
from evaluation.errors import EvaluationRefused
from evaluation.geometry import Comparison
from evaluation.patients import CohortFolders, cohort_of, one_patient, paired_folders
from evaluation.reading import read_both, read_dose_file
from evaluation.set_comparison import SetComparison, compare_sets
from service.cli.evaluate_cohort import run as run_cohort
from service.cli.model_arguments import same_names
from service.cli.output import print_table, say, say_json, warn

COHORT = "cohort"
Doses = Mapping[str, DoseComparison]
SHOWN = (
    ("Dice", "dice", 3),
    ("HD95 pooled, mm", "hausdorff95_pooled_mm", 1),
    ("HD, mm", "hausdorff_mm", 1),
    ("ASD mean of means, mm", "average_surface_distance_mean_of_means_mm", 2),
    ("volume error, %", "volume_relative_error_percent", 1),
    ("added path, mm", "added_path_length_mm", 0),
    ("slices to edit", "slices_to_edit", 0),
)


def run(arguments: argparse.Namespace) -> int:
    """Compare two sets of contours; return 0 if compared, 1 with the reason if nothing could be compared."""
    try:
        folders = _cohort(arguments)
        if folders is not None:
            return run_cohort(*folders, arguments)
        compared = _compared(arguments)
        doses = _doses(compared, arguments)
    except EvaluationRefused as reason:
        warn(f"contour-node evaluate: {reason}")
        return 1
    if arguments.json:
        result = _json(compared, doses, arguments)
        say_json(result, indent=2)
    else:
        _print(compared, doses)
    return 0 if compared.by_structure else 1


def _cohort(arguments: argparse.Namespace) -> tuple[CohortFolders, str] | None:
    """Return the patients and the reference's label: of a cohort folder, two folders of patients, or one pair."""
    found, reference = Path(arguments.found), arguments.reference
    if str(found) == COHORT:
        return cohort_of(reference, arguments.reference_set), arguments.reference_set
    folders = paired_folders(found, reference)
    if folders is None and arguments.out is not None:
        folders = one_patient(found, reference, arguments.ct, arguments.dose)
    return None if folders is None else (folders, list(folders.patients[0].sets)[1])


def _compared(arguments: argparse.Namespace) -> SetComparison:
    found, reference = read_both(arguments.found, arguments.reference, arguments.ct)
    return compare_sets(
        found, reference, tuple(arguments.tolerance_mm), same_names(arguments.same, "NAME=NAME IN REFERENCE")
    )


def _doses(compared: SetComparison, arguments: argparse.Namespace) -> Doses:
    if arguments.dose is None:
        return {}
    dose = read_dose_file(arguments.dose)
    return compare_doses(compared, dose, tuple(arguments.dose_at_gy))


def _json(compared: SetComparison, doses: Doses, arguments: argparse.Namespace) -> dict[str, Any]:
    result = comparison_json(compared, slices=arguments.slices)
    for name, dose in doses.items():
        result["structures"][name] |= dose_json(dose)
    return {**result, "definitions": definitions_json(tuple(arguments.tolerance_mm))}


def _print(compared: SetComparison, doses: Doses) -> None:
    print_table(
        ("structure", "state", *(title for title, _, _ in SHOWN)),
        [
            (name, comparison.state.value, *_cells(comparison))
            for name, comparison in compared.by_structure.items()
        ],
    )
    if doses:
        _print_doses(doses)
    lines = [
        *(f"not compared: {name}: {reason}" for name, reason in compared.refused.items()),
        *_list(f"only in {compared.found.label}", compared.unmatched),
        *_list(f"only in {compared.reference.label}", compared.unmatched_reference),
        *(f"note: {note}" for note in compared.notes),
    ]
    say(*lines)
    if not compared.by_structure:
        warn("contour-node evaluate: the sets have no structure in common")


def _print_doses(doses: Doses) -> None:
    titles = [f"{what} {of}, Gy" for what in ("mean", "max") for of in ("dose", "of reference", "difference")]
    rows = []
    for name, dose in doses.items():
        cells = [
            values.values[key]
            for what in ("mean", "max")
            for values, key in (
                (dose.values, f"{what}_gy"),
                (dose.reference_values, f"{what}_gy"),
                (dose.differences, f"{what}_dose_difference_gy"),
            )
        ]
        reasons = dict.fromkeys([*dose.values.reasons.values(), *dose.reference_values.reasons.values()])
        shown = ("-" if value is None else f"{value:.2f}" for value in cells)
        rows.append((name, *shown, "; ".join(reasons)))
    print_table(("structure", *titles, "not defined"), rows)


def _cells(comparison: Comparison) -> list[str]:
    values = [(comparison.values[name], digits) for _, name, digits in SHOWN]
    return ["-" if value is None else f"{value:.{digits}f}" for value, digits in values]


def _list(title: str, names: tuple[str, ...]) -> list[str]:
    return [f"{title}: {', '.join(names)}"] if names else []
