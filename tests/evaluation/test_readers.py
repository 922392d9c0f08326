import numpy as np
import pytest

from evaluation.errors import EvaluationRefused
from evaluation.readers import against_consensus, pairwise, staple
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
