"""The split by patient: fixed once, whatever comes later."""

from pathlib import Path

import pytest

from training.cases import Subset
from training.split import SPLIT_FILE, Split, SplitRefused, load_split, save_split

SHARES = {Subset.TRAIN: 0.6, Subset.VAL: 0.2, Subset.TEST: 0.2}


def test_new_patients_fill_the_shares_and_nobody_moves() -> None:
    first = Split.fresh(SHARES).with_patients([f"p{i}" for i in range(10)])
    counts = [sum(s is subset for s in first.patients.values()) for subset in Subset]
    assert counts == [6, 2, 2]
    second = first.with_patients([f"p{i}" for i in range(5, 40)])
    assert len(second.patients) == 40
    assert all(second.patients[name] is subset for name, subset in first.patients.items())
    assert second.with_patients(["p3"]).sha256 == second.sha256


def test_the_order_in_which_patients_come_does_not_matter() -> None:
    split = Split.fresh(SHARES)
    names = [f"p{i}" for i in range(20)]
    assert split.with_patients(names).patients == split.with_patients(names[::-1]).patients


def test_a_written_split_cannot_be_changed_for_a_patient(tmp_path: Path) -> None:
    split = Split.fresh(SHARES).with_patients(["a", "b"])
    save_split(split, tmp_path)
    moved = split.model_copy(update={"patients": {**split.patients, "a": Subset.TEST}})
    moved = (
        moved
        if split.patients["a"] is not Subset.TEST
        else moved.model_copy(update={"patients": {**split.patients, "a": Subset.TRAIN}})
    )
    with pytest.raises(SplitRefused, match=r"split\.json: patient a is in '.*' and stays there"):
        save_split(moved, tmp_path)
    with pytest.raises(SplitRefused, match=r"patient [ab] is in"):
        save_split(Split.fresh(SHARES), tmp_path)
    assert load_split(tmp_path) == split


@pytest.mark.parametrize(
    "text", ["", "{}", '{"salt": "x"}', '{"salt": "' + "0" * 32 + '", "shares": {"train": 0.5}}']
)
def test_a_damaged_split_is_never_replaced_by_a_new_one(tmp_path: Path, text: str) -> None:
    (tmp_path / SPLIT_FILE).write_text(text)
    with pytest.raises(SplitRefused, match=r"split\.json cannot be read.*Restore it from a copy"):
        load_split(tmp_path)
    with pytest.raises(SplitRefused):
        save_split(Split.fresh(SHARES), tmp_path)
    assert (tmp_path / SPLIT_FILE).read_text() == text


def test_pseudonyms_depend_on_the_salt_and_hide_the_identifier() -> None:
    one, other = Split.fresh(SHARES), Split.fresh(SHARES)
    assert one.pseudonym("4711") == one.pseudonym("4711") != other.pseudonym("4711")
    assert "4711" not in one.pseudonym("4711")
