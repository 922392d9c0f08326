"""Sections on agreement: volumes (Bland-Altman), doses, and readers with each other and with STAPLE's consensus."""

from collections.abc import Sequence

import numpy as np

from evaluation.cohort import CohortResult
from evaluation.report.figures import bland_altman_plot, scatter_plot
from evaluation.report.numbers import heading, spread, written
from evaluation.report.page import Cell, Figure, Section, Table
from evaluation.report.tables import Values, metric_table
from evaluation.statistics import SMALL_SAMPLES, bland_altman, small_note
from evaluation.studies import PublishedStudy

_MEAN, _MAX = "mean_dose_difference_percent", "max_dose_difference_percent"


def volume_section(values: Values) -> list[Section]:
    """Return the section on volumes for each set: Bland-Altman by structure, and a plot of all structures."""
    tables, figures = [], []
    for label in values.cohort.set_labels:
        rows: list[Sequence[Cell | str]] = []
        everything: list[tuple[float, float, str]] = []
        for structure in values.cohort.structures:
            pairs = _volumes(values, label, structure)
            everything += [(found, reference, structure) for found, reference in pairs]
            if len(pairs) > 1:
                found, reference = zip(*pairs, strict=True)
                a = bland_altman(found, reference)
                rows.append(
                    [
                        structure,
                        str(a.n),
                        f"{a.bias:.2f}",
                        f"{a.bias_low:.2f} to {a.bias_high:.2f}",
                        f"{a.lower:.2f} to {a.upper:.2f}",
                        f"± {a.limits_half_width:.2f}",
                        small_note(a.n),
                    ]
                )
        if rows:
            columns = (
                "structure",
                "n",
                "bias, cm3",
                "95 % interval",
                "limits of agreement",
                "limits' interval",
                "note",
            )
            tables.append(
                Table(
                    title=f"Volume, {label} minus reference", columns=columns, rows=rows, note=SMALL_SAMPLES
                )
            )
        if len(everything) > 1:
            found, reference, groups = zip(*everything, strict=True)
            svg = bland_altman_plot(found, reference, groups, "cm3")
            figures.append(Figure(caption=f"Volumes of {label} and reference (Bland-Altman)", svg=svg))
    return [Section(title="Volume", tables=tables, figures=figures)] if tables else []


def dose_section(values: Values, study: PublishedStudy) -> list[Section]:
    """Return the section on differences of mean and maximum dose, signed and absolute; none without any dose."""
    if not any(_MEAN in row.values for row in values.cohort.rows):
        return []
    names = ("mean_dose_difference_gy", _MEAN, "max_dose_difference_gy", _MAX)
    figures = []
    for label in values.cohort.set_labels:
        points = {
            structure: [
                (mean[p], highest[p])
                for mean, highest in [
                    (
                        values.by_patient(label, structure, _MEAN),
                        values.by_patient(label, structure, _MAX),
                    )
                ]
                for p in mean.keys() & highest.keys()
            ]
            for structure in values.cohort.structures
        }
        svg = scatter_plot(points, heading(_MEAN), heading(_MAX))
        figures.append(Figure(caption=f"Dose differences of {label}, one point an instance", svg=svg))
    reasons: dict[str, int] = {}
    for row in values.cohort.rows:
        words = row.reasons.get(_MEAN)
        if words:
            key = f"{row.structure}: {words.split(' % of it')[-1].strip() if ' % of it' in words else words}"
            reasons[key] = reasons.get(key, 0) + 1
    items = [f"{words} ({count} of its instances)" for words, count in sorted(reasons.items())]
    with_dose = {row.patient for row in values.cohort.rows if _MEAN in row.values}
    return [
        Section(
            title="Dose",
            paragraphs=[f"{len(with_dose)} of {len(values.cohort.patients)} patients have a dose."],
            tables=[
                metric_table(values, names, (), "Dose differences, signed (SOARS, equations 6 and 7)"),
                metric_table(values, study.dose_metrics, (), "Dose differences, absolute"),
            ],
            figures=figures,
            items=[f"no difference: {item}" for item in items],
        )
    ]


def reader_section(cohort: CohortResult) -> list[Section]:
    """Return the section on readers, with each other and the consensus: Dice and ASD over all instances."""
    rows = [row for patient in cohort.patients for row in patient.readers]
    if not rows:
        return []
    metrics = ("dice", "average_surface_distance_mean_of_means_mm", "hausdorff95_pooled_mm")
    body: list[Sequence[Cell | str]] = []
    for pair in dict.fromkeys((row.reader, row.other) for row in rows):
        here = [row for row in rows if (row.reader, row.other) == pair]
        known = [[v for row in here if (v := row.values.get(m)) is not None] for m in metrics]
        body.append(
            [
                f"{pair[0]} and {pair[1]}",
                str(len(here)),
                str(len(here) - len(known[0])),
                *(spread(m, v) for m, v in zip(metrics, known, strict=True)),
            ]
        )
    means = [v for row in rows if row.other != "STAPLE" and (v := row.values.get("dice")) is not None]
    words = f"Mean Dice of two readers: {written('dice', float(np.mean(means)) if means else None)}."
    note = "Mean over instances. The consensus (STAPLE) is made of all readers, the one compared with it included."
    columns = ("readers", "instances", "not compared", *(heading(m) for m in metrics))
    table = Table(title="Readers", columns=columns, rows=body, note=note)
    return [Section(title="Readers", paragraphs=[words], tables=[table])]


def _volumes(values: Values, label: str, structure: str) -> list[tuple[float, float]]:
    """Return pairs of volumes, of the set and of the reference, where both have the structure."""
    found = values.by_patient(label, structure, "volume_cm3")
    reference = values.by_patient(label, structure, "reference_volume_cm3")
    compared = values.by_patient(label, structure, "dice")
    return [(found[p], reference[p]) for p in sorted(compared)]
