"""The results of a cohort as files.

Values first (CSV, JSON), then pages (HTML, PDF): one for the study and one per patient.
"""

import csv
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from evaluation.as_json import definitions_json
from evaluation.cohort import CohortResult, CohortRow, Options, PatientResult, read_patient
from evaluation.patients import CohortFolders, PatientFolder
from evaluation.report.page import write_page
from evaluation.report.patient import patient_page
from evaluation.report.pictures import three_planes
from evaluation.report.study import Extras, study_page, worst_rows
from evaluation.set_comparison import compare_sets
from evaluation.studies import PublishedStudy

WORST = 3


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is written besides the values, and where: the study's tables, and facts for the title."""

    folder: Path
    study: PublishedStudy
    facts: Sequence[tuple[str, str]]
    extras: Extras
    pdf: bool = True
    patient_pages: bool = True


def write_values(cohort: CohortResult, folder: Path) -> list[Path]:
    """Write values.csv (one row per instance) and cohort.json (the same with remarks, readers and definitions)."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(name for row in cohort.rows for name in row.values))
    table = folder / "values.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["patient", "set", "structure", "state", *names])
        for row in cohort.rows:
            cells = [row.values.get(name) for name in names]
            writer.writerow(
                [
                    row.patient,
                    row.set_label,
                    row.structure,
                    row.state.value,
                    *("" if cell is None else repr(cell) for cell in cells),
                ]
            )
    document = folder / "cohort.json"
    document.write_text(json.dumps(cohort_json(cohort), indent=1, allow_nan=False), encoding="utf-8")
    return [table, document]


def cohort_json(cohort: CohortResult) -> dict[str, object]:
    """Return the whole cohort; undefined values are null, with the reasons beside them."""
    patients = [
        {
            "patient": patient.name,
            "not_evaluated": patient.failure or None,
            "remarks": list(patient.remarks),
            "instances": [
                {
                    "set": row.set_label,
                    "structure": row.structure,
                    "state": row.state.value,
                    "metrics": dict(row.values),
                    "not_defined": dict(row.reasons),
                }
                for row in patient.rows
            ],
            "readers": [
                {
                    "structure": row.structure,
                    "readers": [row.reader, row.other],
                    "state": row.state.value,
                    "metrics": dict(row.values),
                }
                for row in patient.readers
            ],
        }
        for patient in cohort.patients
    ]
    return {
        "reference": cohort.options.reference,
        "sets": list(cohort.set_labels),
        "without_both_sides": list(cohort.incomplete),
        "patients": patients,
        "definitions": definitions_json(cohort.options.tolerances_mm),
    }


def write_pages(
    cohort: CohortResult,
    folders: CohortFolders,
    job: Job,
    processes: int = 2,
    progress: Callable[[str], None] = lambda _name: None,
) -> list[Path]:
    """Write `study` and, below `patients`, one page per patient; each as HTML and PDF."""
    by_name = {patient.name: patient for patient in folders.patients}
    worst = worst_rows(cohort, WORST)
    pictures = [draw(by_name[row.patient], cohort.options, [(row.set_label, row.structure)]) for row in worst]
    shown = [(row, drawn[row.set_label, row.structure]) for row, drawn in zip(worst, pictures, strict=True)]
    written = write_page(
        study_page(cohort, job.study, job.facts, shown, job.extras), job.folder / "study", pdf=job.pdf
    )
    if not job.patient_pages:
        return written
    one = partial(_write_patient, options=cohort.options, job=job)
    with ProcessPoolExecutor(max_workers=processes) as pool:
        pairs = [(by_name[result.name], result) for result in cohort.patients]
        for (patient, _), paths in zip(pairs, pool.map(one, pairs), strict=True):
            written += paths
            progress(patient.name)
    return written


def draw(
    patient: PatientFolder, options: Options, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], bytes]:
    """Draw structures of a patient in three planes; return the PNGs by set and structure."""
    read = read_patient(patient, options.reference)
    sets = read.sets
    drawn: dict[tuple[str, str], bytes] = {}
    for label in dict.fromkeys(label for label, _ in wanted):
        compared = compare_sets(sets[label], sets[options.reference], (), options.same)
        for own, structure in wanted:
            if own == label:
                drawn[own, structure] = three_planes(compared.pair(structure), read.volume)
    return drawn


def _write_patient(pair: tuple[PatientFolder, PatientResult], options: Options, job: Job) -> list[Path]:
    patient, result = pair
    wanted = list(
        dict.fromkeys(
            (row.set_label, row.structure) for label in patient.sets for row in _worst_of(result.rows, label)
        )
    )
    pictures = draw(patient, options, wanted) if wanted else {}
    page = patient_page(result, options.reference, job.study.names(options.tolerances_mm), pictures)
    return write_page(page, job.folder / "patients" / patient.name, pdf=job.pdf)


def _worst_of(rows: Sequence[CohortRow], label: str) -> list[CohortRow]:
    """Return the row of a set with the lowest Dice, if any."""
    known = [
        (value, k)
        for k, row in enumerate(rows)
        if row.set_label == label and (value := row.values.get("dice")) is not None
    ]
    return [rows[min(known)[1]]] if known else []
