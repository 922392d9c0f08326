"""What a new version of a model takes over from the one before."""

from pathlib import Path

from inference.contract import load_contracts
from training.publish import with_limits

REPOSITORY = Path(__file__).parents[2] / "model_repository"


def test_a_new_version_keeps_the_plausibility_limits_of_the_one_before() -> None:
    served = load_contracts(REPOSITORY)["hn_oar"]
    new = served.model_copy(update={"version": 9, "plausibility": None})
    assert served.plausibility is not None
    assert with_limits(new, {1: served}) == new.model_copy(update={"plausibility": served.plausibility})
    bare = served.model_copy(update={"version": 2, "plausibility": None})
    assert with_limits(new, {1: served, 2: bare}).plausibility == served.plausibility


def test_limits_of_other_structures_are_not_taken_over() -> None:
    served = load_contracts(REPOSITORY)["hn_oar"]
    fewer = served.model_copy(update={"structures": served.structures[1:], "plausibility": None})
    assert with_limits(fewer, {1: served}).plausibility is None
    assert with_limits(fewer, {}).plausibility is None
