from itertools import pairwise

import matplotlib.axes
import numpy as np
import pytest

from evaluation.cohort import CohortResult, CohortRow, Options, PatientResult
from evaluation.definitions import definitions
from evaluation.pair import PairState
from evaluation.report import figures
from evaluation.report.numbers import better, digits, heading, probability, spread, written
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


def test_decimals_of_every_metric() -> None:
    """Whole pixels, mm and slices drawn; a tenth of a percent; hundredths of mm, cm3, Gy; shares, 3 or 4."""
    shares_of_a_grid = ("specificity", "false_positive")
    for name in [d.name for d in definitions((1.0, 2.5))]:
        if name.startswith(("added_path_length", "reference_path_length", "slices_to_edit")):
            expected = 0
        elif name.endswith("_percent"):
            expected = 1
        elif name.startswith(("surface_", "dice", "jaccard", "sensitivity", "true_positive", "precision")):
            expected = 3
        else:
            expected = 4 if name.startswith(shares_of_a_grid) else 2
        assert digits(name) == expected, name
    assert (digits("mean_dose_difference_gy"), digits("max_dose_difference_absolute_percent")) == (2, 1)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[matplotlib.axes.Axes]:
    """The axes of every figure, instead of its SVG."""
    kept: list[matplotlib.axes.Axes] = []
    monkeypatch.setattr(figures, "_svg", lambda drawing: kept.append(drawing.axes[0]))
    return kept


@pytest.mark.parametrize("sets", [1, 2, 5])
def test_boxes_stand_beside_each_other_over_their_structure(
    drawn: list[matplotlib.axes.Axes], sets: int
) -> None:
    """In the order of the sets, none over another, none nearer to a neighbour's name, none cut off."""
    names = ("Larynx", "Cord", "Brainstem")
    values = [0.7, 0.75, 0.8, 0.85, 0.9]
    figures.box_plot({f"s{k}": dict.fromkeys(names, values) for k in range(sets)}, names, "Dice")
    boxes = [patch.get_path().get_extents() for patch in drawn[0].patches]
    assert len(boxes) == sets * len(names)
    low, high = drawn[0].get_xlim()
    assert high - (len(names) - 1) == pytest.approx(-low)
    for i in range(len(names)):
        sides = [(box.x0, box.x1) for box in boxes[i :: len(names)]]
        assert i - 0.5 < sides[0][0]
        assert sides[-1][1] < i + 0.5
        assert all(one[1] < other[0] for one, other in pairwise(sides))
        assert sides[0][0] + sides[-1][1] == pytest.approx(2 * i)
        assert low < sides[0][0]
        assert sides[-1][1] < high


def test_five_values_make_a_box_and_four_are_points_and_the_mean_is_marked(
    drawn: list[matplotlib.axes.Axes],
) -> None:
    for values in ([0.5, 0.6, 0.8, 0.9, 1.0], [0.5, 0.6, 0.8, 0.9]):
        figures.box_plot({"s": {"Larynx": values}}, ["Larynx"], "Dice")
        points = [line for line in drawn[-1].lines if line.get_marker() == "." and len(line.get_xdata())]
        assert (len(drawn[-1].patches), len(points)) == ((1, 0) if len(values) == 5 else (0, 1))
        (mean,) = (line.get_xydata() for line in drawn[-1].lines if line.get_marker() == "D")
        np.testing.assert_allclose(mean, [[0, np.mean(values)]])
    assert np.array_equal(points[0].get_xydata(), [[0, 0.5], [0, 0.6], [0, 0.8], [0, 0.9]])


def test_curves_fill_a_unit_square(drawn: list[matplotlib.axes.Axes]) -> None:
    figures.line_plot({"score": ((0.0, 0.2, 1.0), (0.0, 0.9, 1.0))}, "x", "y")
    assert drawn[0].get_xlim() == drawn[0].get_ylim() == pytest.approx((0, 1), abs=0.05)
    diagonal, curve = drawn[0].lines
    assert np.array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    assert np.array_equal(curve.get_xydata(), [[0, 0], [0.2, 0.9], [1, 1]])


def test_a_bland_altman_plot_has_means_differences_and_limits_by_hand(
    drawn: list[matplotlib.axes.Axes],
) -> None:
    found, reference = [10.0, 20.0, 33.0], [12.0, 20.0, 30.0]
    figures.bland_altman_plot(found, reference, ["a", "b", "a"], "cm3")
    a, b, *levels = drawn[0].lines
    assert np.array_equal(a.get_xydata(), [[11, -2], [31.5, 3]])
    assert np.array_equal(b.get_xydata(), [[20, 0]])
    bias, sd = np.mean([-2, 0, 3]), np.std([-2, 0, 3], ddof=1)
    expected = [bias, bias - 1.96 * sd, bias + 1.96 * sd]
    assert [line.get_ydata()[0] for line in levels] == pytest.approx(expected, abs=1e-3)


def test_a_dvh_is_drawn_in_percent_over_its_doses(drawn: list[matplotlib.axes.Axes]) -> None:
    figures.dvh_plot(
        np.array([0.0, 10.0, 20.0]), [("Cord", (), (1.0, 0.5, 0.0)), ("Larynx", (1.0, 1.0, 0.25), ())]
    )
    cord, larynx = drawn[0].lines
    assert (list(cord.get_ydata()), cord.is_dashed()) == ([100, 50, 0], False)
    assert (list(larynx.get_ydata()), larynx.is_dashed()) == ([100, 100, 25], True)
    assert cord.get_color() != larynx.get_color()
    assert drawn[0].get_xlim() == (0, 20)
    low, high = drawn[0].get_ylim()
    assert low <= 0 < 100 < high < 105
