"""The page that somebody signs before a model is used: criteria, verdict, values, and what exactly was tested."""

from collections.abc import Mapping, Sequence

from evaluation.cohort import CohortResult, CohortRow
from evaluation.criteria import Criteria, Judgement, accepted
from evaluation.report.figures import box_plot
from evaluation.report.numbers import heading, written
from evaluation.report.page import Cell, Figure, Page, Section, Table
from evaluation.report.patient import LEGEND
from evaluation.report.tables import Values, metric_table

SIGNATURES = ("medical physicist, date", "radiation oncologist, date")


def commissioning_page(
    criteria: Criteria,
    cohort: CohortResult,
    judged: Sequence[Judgement],
    facts: Mapping[str, str],
    worst: Sequence[tuple[CohortRow, bytes]],
) -> Page:
    """Return the page: the verdict, every criterion, the values behind them, the worst cases, and what was tested."""
    reasons = accepted(criteria, cohort, judged)
    metrics = list(dict.fromkeys(c.metric for c in criteria.criterion))
    values = Values(cohort)
    verdict = (
        "Every criterion is met. Whether the model is used here is for those who sign below."
        if not reasons
        else "Not accepted:"
    )
    figures = [
        Figure(
            caption=f"{row.patient}, {row.structure}: {row.state.value}, Dice {written('dice', row.values.get('dice'))} "
            f"({LEGEND.format(label=row.set_label)})",
            png=png,
            wide=True,
        )
        for row, png in worst
    ]
    return Page(
        title=f"Commissioning of {criteria.model}",
        subtitle=f"{len(cohort.patients)} local cases through the node's own path, against {cohort.options.reference}",
        facts=list(facts.items()),
        sections=[
            Section(title="Verdict", paragraphs=[verdict], items=reasons),
            Section(title="Acceptance criteria", tables=[_criteria_table(judged)]),
            Section(
                title="Values",
                tables=[metric_table(values, metrics, (), "Every case")],
                figures=[_box(values, metric) for metric in metrics],
            ),
            Section(title="Worst cases", figures=figures),
            Section(title="Remarks", items=cohort.remarks),
        ],
        signatures=SIGNATURES,
    )


def _criteria_table(judged: Sequence[Judgement]) -> Table:
    rows = [
        (
            j.structure,
            f"{j.criterion.statistic.value} of {heading(j.criterion.metric)}",
            j.criterion.limit,
            written(j.criterion.metric, j.value),
            str(j.cases),
            Cell(text="met" if j.met else "NOT MET", bold=True, alarm=not j.met),
            j.reason,
        )
        for j in judged
    ]
    columns = ("structure", "statistic", "limit", "value", "cases", "result", "reason")
    note = "A missing or spurious structure fails a criterion, whatever the other cases' values, unless the criterion allows some."
    return Table(title="", columns=columns, rows=rows, note=note)


def _box(values: Values, metric: str) -> Figure:
    samples = {
        label: {s: list(values.by_patient(label, s, metric).values()) for s in values.cohort.structures}
        for label in values.cohort.set_labels
    }
    svg = box_plot(samples, values.cohort.structures, heading(metric))
    return Figure(caption=f"{heading(metric)} by structure", svg=svg)
