"""A study's page: what was compared and what was not, tables, tests, plots, doses, effort, readers, worst cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evaluation.cohort import CohortResult, CohortRow
from evaluation.definitions import definitions
from evaluation.effort import EffortEstimate, EffortRecord, Revision, time_saved
from evaluation.pair import PairState
from evaluation.report.agreement import dose_section, reader_section, volume_section
from evaluation.report.figures import box_plot
from evaluation.report.numbers import heading, written
from evaluation.report.page import Cell, Figure, Page, Section, Table
from evaluation.report.patient import LEGEND
from evaluation.report.tables import SetTest, Values, metric_table, set_tests, summary_table, table_of_tests
from evaluation.statistics import NonInferiority, non_inferiority
from evaluation.studies import PublishedStudy

MOST_BOXES = 12  # in a figure half a page wide


@dataclass(frozen=True, kw_only=True)
class Extras:
    """Data besides the contours: non-inferiority margins by metric, timed corrections, and an estimate from them."""

    margins: Mapping[str, float] = field(default_factory=dict)
    records: Sequence[EffortRecord] = ()
    estimate: EffortEstimate | None = None
    estimate_refusal: str = ""


def worst_rows(cohort: CohortResult, count: int, metric: str = "dice") -> list[CohortRow]:
    """Return the rows to look at first: missing and spurious structures, then the lowest values of the metric."""
    absent = [row for row in cohort.rows if row.state in (PairState.MISSING, PairState.SPURIOUS)]
    known = [(value, k) for k, row in enumerate(cohort.rows) if (value := row.values.get(metric)) is not None]
    lowest = [cohort.rows[k] for _, k in sorted(known)]
    return [*absent, *lowest][:count]


def study_page(
    cohort: CohortResult,
    study: PublishedStudy,
    facts: Sequence[tuple[str, str]],
    worst: Sequence[tuple[CohortRow, bytes]],
    extras: Extras,
) -> Page:
    """Return the page of a whole cohort."""
    values = Values(cohort)
    metrics = study.names(cohort.options.tolerances_mm)
    tests = set_tests(values, metrics, study.test)
    sections = [
        _overview(cohort),
        _geometry(values, metrics, tests, study),
        _plots(values, metrics),
        *_tests(values, tests, extras.margins),
        *volume_section(values),
        *dose_section(values, study),
        _effort(values, extras),
        *reader_section(cohort),
        _worst(worst),
        _meanings(cohort, metrics),
    ]
    return Page(
        title="Contours against " + cohort.options.reference,
        subtitle=study.title,
        facts=facts,
        sections=sections,
    )


def _overview(cohort: CohortResult) -> Section:
    evaluated = [p for p in cohort.patients if not p.failure]
    counts = {state: sum(row.state is state for row in cohort.rows) for state in PairState}
    items = [
        f"{len(evaluated)} patients, {len(cohort.structures)} structures, "
        f"{len(cohort.rows)} instances of {len(cohort.set_labels)} set(s): {', '.join(cohort.set_labels)}",
        *(f"{count} instances {state.value}" for state, count in counts.items() if count),
        *(f"not evaluated: {p.name}: {p.failure}" for p in cohort.patients if p.failure),
    ]
    if cohort.incomplete:
        items.append(f"without both sides: {', '.join(cohort.incomplete)}")
    items += cohort.remarks
    return Section(title="What was compared", items=items)


def _geometry(
    values: Values, metrics: Sequence[str], tests: Sequence[SetTest], study: PublishedStudy
) -> Section:
    tables = [metric_table(values, metrics, tests, study.title)]
    tables += [summary_table(values, label, metrics[0]) for label in values.cohort.set_labels]
    return Section(title="Geometry", tables=tables)


def _plots(values: Values, metrics: Sequence[str]) -> Section:
    figures = []
    wide = len(values.cohort.structures) * len(values.cohort.set_labels) > MOST_BOXES
    for metric in metrics:
        samples = {
            label: {s: list(values.by_patient(label, s, metric).values()) for s in values.cohort.structures}
            for label in values.cohort.set_labels
        }
        svg = box_plot(samples, values.cohort.structures, heading(metric))
        figures.append(
            Figure(caption=f"{heading(metric)} by structure; diamonds are means", svg=svg, wide=wide)
        )
    return Section(title="Distributions", figures=figures)


def _tests(values: Values, tests: Sequence[SetTest], margins: Mapping[str, float]) -> list[Section]:
    if not tests:
        return []
    tables = [table_of_tests(tests)]
    rows: list[Sequence[Cell | str]] = []
    better = {d.name: d.better for d in definitions(values.cohort.options.tolerances_mm)}
    for t in tests:
        if t.metric in margins and better.get(t.metric):
            one, other = (values.by_patient(label, t.structure, t.metric) for label in (t.one, t.other))
            both = sorted(one.keys() & other.keys())
            if len(both) > 1:
                result = non_inferiority(
                    [one[p] for p in both], [other[p] for p in both], margins[t.metric], better[t.metric]
                )
                rows.append(_non_inferiority_row(t, result))
    if rows:
        columns = (
            "structure",
            "metric",
            "set",
            "margin",
            "mean difference",
            "one-sided bound",
            "not inferior",
            "note",
        )
        note = "Differences turned so that positive is better; bound of the paired t interval at a one-sided level of 2.5 %."
        tables.append(Table(title="Non-inferiority", columns=columns, rows=rows, note=note))
    return [Section(title="Tests", tables=tables)]


def _non_inferiority_row(t: SetTest, result: NonInferiority) -> Sequence[Cell | str]:
    return [
        t.structure,
        heading(t.metric),
        f"{t.one} to {t.other}",
        written(t.metric, result.margin),
        written(t.metric, result.difference),
        written(t.metric, result.bound),
        Cell(text="shown" if result.shown else "not shown", bold=result.shown),
        result.note,
    ]


def _effort(values: Values, extras: Extras) -> Section:
    metrics = ("added_path_length_mm", "reference_path_length_mm", "slices_to_edit")
    tables = [metric_table(values, metrics, (), "What a person would redraw")]
    items: list[str] = []
    saved = time_saved(extras.records)
    if saved is not None:
        interval = (
            "" if saved.low is None or saved.high is None else f" ({saved.low:.0%} to {saved.high:.0%})"
        )
        items.append(
            f"Time saved: {saved.mean_share:.0%}{interval} over {saved.patients} patients; "
            f"{saved.manual_minutes:.1f} minutes from nothing, {saved.edit_minutes:.1f} to correct"
        )
    if extras.estimate is not None:
        tables.append(_revisions(values, extras.estimate))
    elif extras.estimate_refusal:
        items.append(f"No revision classes are estimated: {extras.estimate_refusal}")
    else:
        items.append(
            "No revision classes: nobody timed corrections (effort.csv), and none are estimated without."
        )
    return Section(title="Effort", items=items, tables=tables)


def _revisions(values: Values, estimate: EffortEstimate) -> Table:
    rows: list[Sequence[Cell | str]] = []
    for label in values.cohort.set_labels:
        for structure in values.cohort.structures:
            lengths = values.by_patient(label, structure, "added_path_length_mm").values()
            classes = [estimate.revision(mm) for mm in lengths]
            minutes = [estimate.minutes(mm) for mm in lengths]
            if classes:
                counts = [str(classes.count(revision)) for revision in Revision]
                rows.append([structure, label, *counts, f"{sum(minutes) / len(minutes):.1f}"])
    note = (
        f"Estimated: {estimate.start_minutes:.2f} minutes and {estimate.minutes_per_cm:.3f} a cm of added path, from "
        f"{estimate.records} timed corrections of {estimate.patients} patients. On patients left out the estimate was "
        f"off by {estimate.mean_absolute_error_minutes:.2f} minutes on average, and the class was right for "
        f"{estimate.same_class_share:.0%}."
    )
    columns = ("structure", "set", *(revision.value for revision in Revision), "minutes, mean")
    return Table(title="Revision classes, estimated", columns=columns, rows=rows, note=note)


def _worst(worst: Sequence[tuple[CohortRow, bytes]]) -> Section:
    figures = [
        Figure(
            caption=(
                f"{row.patient}, {row.structure}, {row.set_label}: {row.state.value}, "
                f"Dice {written('dice', row.values.get('dice'))} ({LEGEND.format(label=row.set_label)})"
            ),
            png=png,
            wide=True,
        )
        for row, png in worst
    ]
    return Section(title="Worst cases", figures=figures)


def _meanings(cohort: CohortResult, metrics: Sequence[str]) -> Section:
    used = {*metrics, "added_path_length_mm", "slices_to_edit", "volume_relative_error_percent"}
    rows = [
        (heading(d.name), d.name, d.unit, d.text, d.source)
        for d in definitions(cohort.options.tolerances_mm)
        if d.name in used
    ]
    columns = ("heading", "full name", "unit", "definition", "source")
    return Section(title="Definitions", tables=[Table(title="", columns=columns, rows=rows, prose=True)])
