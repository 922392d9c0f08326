import numpy as np
import pytest

from evaluation.contour_set import ContourSet
from evaluation.errors import EvaluationRefused
from evaluation.pair import PairState
from evaluation.readers import against_consensus, pairwise, reader_rows, staple
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

GRID = Grid(
    shape_zyx=(12, 20, 20),
    origin_lps=(0.0, 0.0, 0.0),
    spacing_zyx_mm=(2.0, 1.0, 1.0),
    axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


def cube(first: int, last: int) -> Mask:
    full = np.zeros(GRID.shape_zyx, bool)
    full[3:9, 5:15, first:last] = True
    return Mask.from_full(full)


READERS = {"a": cube(5, 15), "b": cube(5, 15), "c": cube(5, 11)}


def test_two_readers_who_agree_outweigh_a_third() -> None:
    consensus = staple(READERS)
    np.testing.assert_array_equal(consensus.mask.full(GRID.shape_zyx), READERS["a"].full(GRID.shape_zyx))
    assert consensus.sensitivity["c"] == pytest.approx(0.6, abs=0.01)
    assert consensus.sensitivity["a"] == pytest.approx(1.0, abs=0.01)
    assert consensus.specificity["c"] == pytest.approx(1.0, abs=0.01)


def test_each_against_each_and_against_the_consensus() -> None:
    pairs = pairwise(READERS, GRID, (1.0,))
    assert {pair: c.values["dice"] for pair, c in pairs.items()} == {
        ("a", "b"): 1.0,
        ("a", "c"): 0.75,
        ("b", "c"): 0.75,
    }
    found = against_consensus(READERS, GRID, (1.0,))
    assert {reader: c.values["dice"] for reader, c in found.items()} == {"a": 1.0, "b": 1.0, "c": 0.75}


def test_no_consensus() -> None:
    with pytest.raises(EvaluationRefused, match="needs two readers"):
        staple({"a": READERS["a"]})
    with pytest.raises(EvaluationRefused, match="c drew nothing"):
        staple({**READERS, "c": Mask.empty()})


def test_rows_of_structures_that_every_reader_named() -> None:
    sets = {
        reader: ContourSet(
            label=reader, grid=GRID, masks={"Larynx": mask, "Eye_L": Mask.empty(), f"only_{reader}": mask}
        )
        for reader, mask in READERS.items()
    }
    sets["b"] = ContourSet(label="b", grid=GRID, masks={"larynx": READERS["b"], "Lt Eye": READERS["b"]})
    rows, remarks = reader_rows("p1", sets, (1.0,))
    assert [(row.structure, row.reader, row.other) for row in rows] == [
        *(("Eye_L", one, other) for one, other in ("ab", "ac", "bc")),
        *(("Larynx", one, other) for one, other in ("ab", "ac", "bc")),
        *(("Larynx", one, "STAPLE") for one in "abc"),
    ]
    assert [row.values["dice"] for row in rows[3:]] == [1.0, 0.75, 0.75, 1.0, 1.0, 0.75]
    assert [row.state for row in rows[:3]] == [PairState.MISSING, PairState.BOTH_EMPTY, PairState.SPURIOUS]
    assert remarks == ["Eye_L: a, c drew nothing; no consensus is made"]
    assert reader_rows("p1", {"a": sets["a"]}, (1.0,)) == ([], [])
