"""Tables in the form that the studies print.

Mean and SD per structure, bold where a set is significantly better than every other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from evaluation.cohort import CohortResult, CohortRow
from evaluation.pair import PairState
from evaluation.report.numbers import NOTHING, better, heading, probability, spread, written
from evaluation.report.page import Cell, Table
from evaluation.statistics import SampleTest, bootstrap_mean, holm, summary
from evaluation.studies import TwoSampleTest

SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class SetTest:
    """Two sets' values of one metric on one structure, over patients with both values, and how many lack one."""

    structure: str
    metric: str
    one: str
    other: str
    test: SampleTest
    excluded: int
    difference: float
    low: float | None
    high: float | None
    p_holm: float | None = None


class Values:
    """A cohort's values by set, structure, metric and patient."""

    def __init__(self, cohort: CohortResult) -> None:
        """Index the cohort's rows."""
        self.cohort = cohort
        self._rows: dict[tuple[str, str], dict[str, CohortRow]] = {}
        for row in cohort.rows:
            self._rows.setdefault((row.set_label, row.structure), {})[row.patient] = row

    def rows(self, label: str, structure: str) -> Mapping[str, CohortRow]:
        """Return the rows of a set's structure by patient."""
        return self._rows.get((label, structure), {})

    def by_patient(self, label: str, structure: str, metric: str) -> dict[str, float]:
        """Return the defined values of a metric by patient."""
        return {
            patient: value
            for patient, row in self.rows(label, structure).items()
            if (value := row.values.get(metric)) is not None
        }

    def states(self, label: str, structure: str) -> Mapping[PairState, int]:
        """Return how many patients are in each state."""
        found = [row.state for row in self.rows(label, structure).values()]
        return {state: found.count(state) for state in PairState}


def metric_table(values: Values, metrics: Sequence[str], tests: Sequence[SetTest], title: str) -> Table:
    """Return the table of mean and SD of each metric by structure and set, with both kinds of average.

    `n` counts the values of the first metric; missing or spurious structures are counted separately.
    """
    labels = values.cohort.set_labels
    several = len(labels) > 1
    columns = [
        "structure",
        *(_of("n", label, several=several) for label in labels),
        *(_of("missing / spurious", label, several=several) for label in labels),
        *(_of(heading(metric), label, several=several) for metric in metrics for label in labels),
    ]
    winners = _winners(tests)
    rows: list[Sequence[Cell | str]] = []
    for structure in values.cohort.structures:
        states = [values.states(label, structure) for label in labels]
        row: list[Cell | str] = [structure]
        row += [str(len(values.by_patient(label, structure, metrics[0]))) for label in labels]
        row += [
            Cell(
                text=f"{s[PairState.MISSING]} / {s[PairState.SPURIOUS]}",
                alarm=bool(s[PairState.MISSING] or s[PairState.SPURIOUS]),
            )
            for s in states
        ]
        for metric in metrics:
            for label in labels:
                text = spread(metric, list(values.by_patient(label, structure, metric).values()))
                row.append(Cell(text=text, bold=(structure, metric, label) in winners))
        rows.append(row)
    rows += _averages(values, metrics)
    note = (
        "Mean ± sample SD over patients with both contours; missing and spurious structures have no value and are counted. "
        "'Mean over structures' averages the structures' means, 'mean over instances' all values."
    )
    if several:
        note += " Bold: better than every other set, p < 0.05 after Holm's correction over the structures."
    return Table(title=title, columns=columns, rows=rows, note=note)


def _of(title: str, label: str, *, several: bool) -> str:
    return f"{title}, {label}" if several else title


def _averages(values: Values, metrics: Sequence[str]) -> list[Sequence[Cell | str]]:
    labels, structures = values.cohort.set_labels, values.cohort.structures
    means: list[Cell | str] = ["mean over structures"]
    instances: list[Cell | str] = ["mean over instances"]
    for _ in range(2):
        means += [""] * len(labels)
        instances += [""] * len(labels)
    for metric in metrics:
        for label in labels:
            samples = [list(values.by_patient(label, s, metric).values()) for s in structures]
            known = [sample for sample in samples if sample]
            means.append(written(metric, float(np.mean([np.mean(s) for s in known])) if known else None))
            instances.append(spread(metric, [v for sample in known for v in sample]))
    return [means, instances]


def set_tests(values: Values, metrics: Sequence[str], test: TwoSampleTest) -> list[SetTest]:
    """Test each pair of sets on each structure and metric, paired by patient.

    Holm's correction is over the structures of a pair and metric.
    """
    found: list[SetTest] = []
    for one, other in combinations(values.cohort.set_labels, 2):
        for metric in metrics:
            family = [
                tested
                for structure in values.cohort.structures
                if (tested := _tested(values, structure, metric, (one, other), test)) is not None
            ]
            adjusted = holm([tested.test.p for tested in family])
            found += [_with_holm(tested, p) for tested, p in zip(family, adjusted, strict=True)]
    return found


def table_of_tests(tests: Sequence[SetTest]) -> Table:
    """Return every test with its difference and interval, p before and after Holm, effect size, and pairs left out."""
    rows: list[Sequence[Cell | str]] = []
    for t in tests:
        interval = (
            NOTHING
            if t.low is None or t.high is None
            else f"{written(t.metric, t.low)} to {written(t.metric, t.high)}"
        )
        significant = t.p_holm is not None and t.p_holm < SIGNIFICANT
        rows.append(
            [
                t.structure,
                heading(t.metric),
                f"{t.one} minus {t.other}",
                str(t.test.n),
                str(t.excluded),
                written(t.metric, t.difference),
                interval,
                probability(t.test.p),
                Cell(text=probability(t.p_holm), bold=significant),
                NOTHING if t.test.effect is None else f"{t.test.effect:.2f}",
                t.test.note,
            ]
        )
    names = {f"{t.test.name}; effect: {t.test.effect_name}" for t in tests}
    columns = (
        "structure", "metric", "sets", "pairs", "left out", "mean difference", "95 % interval", "p", "p (Holm)", "effect", "note",
    )  # fmt: skip
    note = (
        f"{'; '.join(sorted(names))}. Pairs are patients; 'left out' lack a value in one of the sets (missing or spurious "
        "there). Intervals are bootstrapped (BCa, 2000 resamples). {SMALL_SAMPLES}"
    )
    return Table(title="Differences between sets", columns=columns, rows=rows, note=note)


def summary_table(values: Values, label: str, metric: str) -> Table:
    """Return the table of one metric of one set in full: mean with interval, median, quartiles and range."""
    rows: list[Sequence[Cell | str]] = []
    for structure in values.cohort.structures:
        sample = list(values.by_patient(label, structure, metric).values())
        if not sample:
            continue
        s = summary(sample)
        interval = (
            NOTHING
            if s.mean_low is None or s.mean_high is None
            else f"{written(metric, s.mean_low)} to {written(metric, s.mean_high)}"
        )
        rows.append(
            [
                structure,
                str(s.n),
                written(metric, s.mean),
                interval,
                written(metric, s.median),
                f"{written(metric, s.q1)} to {written(metric, s.q3)}",
                f"{written(metric, s.minimum)} to {written(metric, s.maximum)}",
            ]
        )
    return Table(
        title=f"{heading(metric)}: {label}",
        columns=("structure", "n", "mean", "95 % interval of the mean", "median", "quartiles", "range"),
        rows=rows,
    )


def _tested(
    values: Values, structure: str, metric: str, labels: tuple[str, str], test: TwoSampleTest
) -> SetTest | None:
    one, other = (values.by_patient(label, structure, metric) for label in labels)
    both = sorted(one.keys() & other.keys())
    if not both:
        return None
    first, second = [one[p] for p in both], [other[p] for p in both]
    difference = np.subtract(first, second)
    low, high = bootstrap_mean(difference) if len(both) > 1 else (None, None)
    known = values.rows(labels[0], structure).keys() | values.rows(labels[1], structure).keys()
    return SetTest(
        structure=structure,
        metric=metric,
        one=labels[0],
        other=labels[1],
        test=test(first, second),
        excluded=len(known) - len(both),
        difference=float(difference.mean()),
        low=low,
        high=high,
    )


def _with_holm(tested: SetTest, p: float | None) -> SetTest:
    return SetTest(**{**tested.__dict__, "p_holm": p})


def _winners(tests: Sequence[SetTest]) -> set[tuple[str, str, str]]:
    """Return structure, metric and set where a set is significantly better than all others it was tested against."""
    wins: dict[tuple[str, str, str], int] = {}
    labels = {label for t in tests for label in (t.one, t.other)}
    for t in tests:
        direction = better(t.metric) * t.difference
        if t.p_holm is None or t.p_holm >= SIGNIFICANT or direction == 0:
            continue
        winner = t.one if direction > 0 else t.other
        wins[t.structure, t.metric, winner] = wins.get((t.structure, t.metric, winner), 0) + 1
    return {key for key, count in wins.items() if count == len(labels) - 1}
