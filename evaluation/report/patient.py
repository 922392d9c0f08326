"""One patient's page: every structure's values in every set, the worst structure in pictures, the DVH."""

from collections.abc import Mapping, Sequence

from evaluation.cohort import CURVE_GY, CohortRow, PatientResult
from evaluation.pair import PairState
from evaluation.report.figures import dvh_plot
from evaluation.report.numbers import heading, written
from evaluation.report.page import Cell, Figure, Page, Section, Table

DOSE_METRICS = (
    "dose_mean_gy",
    "reference_dose_mean_gy",
    "mean_dose_difference_gy",
    "mean_dose_difference_percent",
    "dose_max_gy",
    "reference_dose_max_gy",
    "max_dose_difference_gy",
    "max_dose_difference_percent",
)
LEGEND = "cyan: reference, orange: {label}; each plane where the two differ most"


def patient_page(
    result: PatientResult, reference: str, metrics: Sequence[str], pictures: Mapping[tuple[str, str], bytes]
) -> Page:
    """Return the page of one patient; `pictures` by set and structure."""
    labels = list(dict.fromkeys(row.set_label for row in result.rows))
    sections: list[Section] = []
    for label in labels:
        rows = [row for row in result.rows if row.set_label == label]
        figures = [
            Figure(caption=f"{structure} ({LEGEND.format(label=label)})", png=png, wide=True)
            for (own, structure), png in pictures.items()
            if own == label
        ]
        tables = [geometry_table(rows, metrics)]
        if any("dose_mean_gy" in row.values for row in rows):
            tables.append(dose_table(rows))
            figures += _dvh(rows, label)
        sections.append(Section(title=f"{label} against {reference}", tables=tables, figures=figures))
    if result.failure:
        sections.append(Section(title="Not evaluated", paragraphs=[result.failure]))
    if result.remarks:
        sections.append(Section(title="Remarks", items=list(dict.fromkeys(result.remarks))))
    return Page(title=f"Patient {result.name}", sections=sections)


def geometry_table(rows: Sequence[CohortRow], metrics: Sequence[str]) -> Table:
    """Return a table with one row per structure: its state and metrics."""
    return Table(
        title="Geometry",
        columns=("structure", "state", *(heading(metric) for metric in metrics)),
        rows=[
            (
                row.structure,
                Cell(text=row.state.value, alarm=row.state in (PairState.MISSING, PairState.SPURIOUS)),
                *(written(metric, row.values.get(metric)) for metric in metrics),
            )
            for row in rows
        ],
    )


def dose_table(rows: Sequence[CohortRow]) -> Table:
    """Return a table with one row per structure: mean and maximum dose by both sets, and why any is lacking."""
    names = ("mean, Gy", "mean of reference", "difference, Gy", "difference, %",
             "max, Gy", "max of reference", "difference, Gy", "difference, %")  # fmt: skip
    return Table(
        title="Dose",
        columns=("structure", *names, "not defined"),
        rows=[
            (
                row.structure,
                *(written(metric, row.values.get(metric)) for metric in DOSE_METRICS),
                "; ".join(dict.fromkeys(row.reasons[name] for name in DOSE_METRICS if name in row.reasons)),
            )
            for row in rows
        ],
    )


def _dvh(rows: Sequence[CohortRow], label: str) -> list[Figure]:
    curves = [(row.structure, row.curve, row.reference_curve) for row in rows]
    if not any(found or reference for _, found, reference in curves):
        return []
    return [
        Figure(
            caption=f"Cumulative DVH: reference drawn through, {label} dashed",
            svg=dvh_plot(CURVE_GY, curves),
            wide=True,
        )
    ]
