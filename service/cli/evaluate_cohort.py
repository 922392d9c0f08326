"""`contour-node evaluate cohort FOLDER`, or two folders of patients: values, tests and pages for printing."""

import argparse
import platform
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path

from evaluation.cohort import CohortResult, Options, evaluate_cohort
from evaluation.definitions import definitions
from evaluation.effort import EffortRecord, fit, read_records
from evaluation.errors import EvaluationRefused
from evaluation.pair import PairState
from evaluation.patients import CohortFolders
from evaluation.report.numbers import heading, spread
from evaluation.report.study import Extras
from evaluation.report.tables import Values
from evaluation.report.writing import Job, cohort_json, write_pages, write_values
from evaluation.studies import STUDIES
from service.cli.model_arguments import same_names
from service.cli.output import print_table, say, say_json, warn
from service.text import shown


def run(folders: CohortFolders, reference: str, arguments: argparse.Namespace) -> int:
    """Evaluate a cohort; return 0, or 1 if some patients could not be evaluated (the output says which and why)."""
    options = Options(
        reference=reference,
        tolerances_mm=tuple(arguments.tolerance_mm),
        dose_at_gy=tuple(arguments.dose_at_gy),
        readers=tuple(arguments.readers),
        same=same_names(arguments.same, "NAME=NAME IN REFERENCE"),
    )
    margins = _margins(arguments.margin, options)
    cohort = evaluate_cohort(folders, options, arguments.processes, _progress("evaluated"))
    if arguments.out is not None:
        job = Job(
            folder=arguments.out,
            study=STUDIES[arguments.study],
            facts=report_facts(arguments.words),
            extras=_extras(cohort, margins, arguments),
            pdf=not arguments.no_pdf,
        )
        written = write_values(cohort, arguments.out)
        written += write_pages(cohort, folders, job, arguments.processes, _progress("written"))
        warn(f"{len(written)} files in {arguments.out}")
    if arguments.json:
        say_json(cohort_json(cohort))
    else:
        _print(cohort, arguments)
    return 1 if any(patient.failure for patient in cohort.patients) else 0


def _margins(words: Sequence[str], options: Options) -> Mapping[str, float]:
    known = {d.name: d.better for d in definitions(options.tolerances_mm)}
    margins: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if not known.get(name):
            raise EvaluationRefused(
                f"--margin {word}: {name} is not a metric where higher or lower is better"
            )
        try:
            margins[name] = float(value)
        except ValueError as error:
            raise EvaluationRefused(f"--margin {word}: expected METRIC=NUMBER") from error
        if not margins[name] > 0:
            raise EvaluationRefused(f"--margin {word}: a margin must be positive")
    return margins


def _extras(cohort: CohortResult, margins: Mapping[str, float], arguments: argparse.Namespace) -> Extras:
    path: Path | None = arguments.effort
    if path is None:
        return Extras(margins=margins)
    records = read_records(path)
    lengths = {
        (row.patient, row.set_label, row.structure): row.values["added_path_length_mm"] for row in cohort.rows
    }
    known: list[tuple[EffortRecord, float]] = []
    for record in records:
        length = lengths.get((record.patient, record.set_label, record.structure))
        if length is not None:
            known.append((record, length))
    try:
        estimate = fit([record for record, _ in known], [length for _, length in known])
    except EvaluationRefused as reason:
        return Extras(margins=margins, records=records, estimate_refusal=str(reason))
    return Extras(margins=margins, records=records, estimate=estimate)


def report_facts(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return what the report says of itself: when it was made, by which command line, with which software."""
    libraries = ("numpy", "scipy", "statsmodels", "SimpleITK", "pydicom")
    return [
        ("made", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("command", shlex.join(["contour-node", *words])),
        ("software", f"contour-node {version('contour-node')}, Python {platform.python_version()}"),
        ("libraries", ", ".join(f"{name} {version(name)}" for name in libraries)),
    ]


def _print(cohort: CohortResult, arguments: argparse.Namespace) -> None:
    values = Values(cohort)
    metrics = STUDIES[arguments.study].names(cohort.options.tolerances_mm)
    for label in cohort.set_labels:
        rows = []
        for structure in cohort.structures:
            states = values.states(label, structure)
            counts = (states[state] for state in (PairState.COMPARED, PairState.MISSING, PairState.SPURIOUS))
            cells = [spread(m, list(values.by_patient(label, structure, m).values())) for m in metrics]
            rows.append((structure, *counts, *cells))
        columns = ("structure", "n", "missing", "spurious", *map(heading, metrics))
        print_table(columns, rows, title=f"{label} against {cohort.options.reference}")
    lines = [
        *(f"not evaluated: {p.name}: {p.failure}" for p in cohort.patients if p.failure),
        *([f"without both sides: {', '.join(cohort.incomplete)}"] if cohort.incomplete else []),
        *cohort.remarks,
    ]
    say(*lines)


def _progress(what: str) -> Callable[[str], None]:
    """Show progress on standard error if it is a terminal."""
    numbers = count(1)

    def show(name: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{what}: {next(numbers)} ({shown(name)})\x1b[K")

    return show
