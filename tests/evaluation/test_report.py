import numpy as np
import pytest

from evaluation.cohort import CohortResult, CohortRow, Options, PatientResult
from evaluation.pair import PairState
from evaluation.report.numbers import better, heading, probability, spread, written
from evaluation.report.page import Cell, Page, Section, Table, html_of
from evaluation.report.tables import Values, metric_table, set_tests, table_of_tests
from evaluation.statistics import paired_wilcoxon

OPTIONS = Options(reference="clinic", tolerances_mm=(1.0,))


def cohort(values: dict[str, dict[str, list[float | None]]]) -> CohortResult:
    """A cohort from Dice by set and structure, a value a patient; None is a missing structure."""
    rows: dict[int, list[CohortRow]] = {}
    for label, by_structure in values.items():
        for structure, sample in by_structure.items():
            for k, dice in enumerate(sample):
                state = PairState.MISSING if dice is None else PairState.COMPARED
                row = CohortRow(
                    patient=f"p{k}", set_label=label, structure=structure, state=state, values={"dice": dice}
                )
                rows.setdefault(k, []).append(row)
    patients = tuple(PatientResult(name=f"p{k}", rows=tuple(own)) for k, own in rows.items())
    return CohortResult(options=OPTIONS, set_labels=tuple(values), patients=patients, incomplete=())


def cells(table: Table) -> list[list[str]]:
    return [[c.text if isinstance(c, Cell) else c for c in row] for row in table.rows]


BASE = [0.70 + 0.01 * k for k in range(12)]
TWO = cohort(
    {
        "new": {"Larynx": [v + 0.05 + 0.001 * k for k, v in enumerate(BASE)], "Cord": [*BASE[:11], None]},
        "old": {"Larynx": list(BASE), "Cord": [v + 0.01 * (-1) ** k for k, v in enumerate(BASE)]},
    }
)


def test_bold_where_a_set_is_significantly_better() -> None:
    values = Values(TWO)
    tests = set_tests(values, ["dice"], paired_wilcoxon)
    table = metric_table(values, ["dice"], tests, "T")
    bold = {(row[0], k) for row in table.rows for k, c in enumerate(row) if isinstance(c, Cell) and c.bold}
    assert bold == {("Larynx", table.columns.index("Dice, new"))}


def test_what_is_missing_is_counted_and_pairs_left_out_are_told() -> None:
    values = Values(TWO)
    tests = set_tests(values, ["dice"], paired_wilcoxon)
    row = {r[0]: r for r in cells(metric_table(values, ["dice"], tests, "T"))}["Cord"]
    assert row[1:5] == ["11", "12", "1 / 0", "0 / 0"]
    cord = next(t for t in tests if t.structure == "Cord")
    assert (cord.test.n, cord.excluded) == (11, 1)
    told = {r[0]: r for r in cells(table_of_tests(tests))}
    assert told["Cord"][3:5] == ["11", "1"]
    larynx = next(t for t in tests if t.structure == "Larynx")
    assert larynx.test.p == pytest.approx(2 / 2**12)
    assert larynx.p_holm == pytest.approx(min(1.0, 2 * larynx.test.p))


def test_averages_over_structures_and_over_instances_differ() -> None:
    """Larynx 0.9 of one patient, cord 0.6 of three."""
    one = cohort({"node": {"Larynx": [0.9], "Cord": [0.6, 0.6, 0.6]}})
    table = cells(metric_table(Values(one), ["dice"], (), "T"))
    assert table[-2][0] == "mean over structures"
    assert table[-2][-1] == "0.750"
    assert (
        table[-1][-1] == f"{np.mean([0.9, 0.6, 0.6, 0.6]):.3f} ± {np.std([0.9, 0.6, 0.6, 0.6], ddof=1):.3f}"
    )


def test_names_of_structures_cannot_write_the_page() -> None:
    table = Table(title="<b>", columns=("a",), rows=[["<script>alert(1)</script>"]])
    page = html_of(Page(title="x", sections=[Section(title="&", tables=[table], items=["<img src=x>"])]))
    assert "<script>" not in page
    assert "<img src=x>" not in page
    assert "&lt;script&gt;" in page


def test_how_values_are_written() -> None:
    assert written("dice", 0.81234) == "0.812"
    assert written("hausdorff_mm", 3.14159) == "3.14"
    assert written("added_path_length_mm", 1234.5) in ("1234", "1235")
    assert written("dice", None) == "-"
    assert spread("dice", [0.8]) == "0.800"
    assert spread("dice", []) == "-"
    assert probability(0.0004) == "< 0.001"
    assert heading("surface_dice_area_weighted_at_2mm") == "surface Dice area-weighted, 2 mm"
    assert (better("dice"), better("hausdorff_mm"), better("volume_cm3")) == (1, -1, 0)
