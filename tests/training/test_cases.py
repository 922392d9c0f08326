"""No test patient in training; OpenKBP's cut and split."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.training import MemorySource, two_sided_case
from training.cases import NotForTraining, Subset, TrainingCases, validation_cases
from training.openkbp import STRUCTURES, OpenKbp, openkbp_split

OPENKBP = Path(__file__).resolve().parents[2].parent / "shared/data/openkbp"
CODES = ("A_L", "A_R", "B")


def source() -> MemorySource:
    return MemorySource(
        [two_sided_case("a"), two_sided_case("b", Subset.VAL), two_sided_case("c", Subset.TEST)], CODES
    )


def test_only_training_patients_can_be_read_for_training() -> None:
    cases = TrainingCases(source())
    assert [case.name for case in cases] == ["a"]
    for name in ("b", "c"):
        with pytest.raises(
            NotForTraining, match=f"{name} belongs to '.*' by the fixed split: it is never trained on"
        ):
            cases.case(name)


def test_a_source_that_hands_out_a_test_patient_as_training_is_caught() -> None:
    class Leaking(MemorySource):
        def names(self, subset: Subset) -> tuple[str, ...]:
            return ("a", "c") if subset is Subset.TRAIN else super().names(subset)

    cases = TrainingCases(Leaking([two_sided_case("a"), two_sided_case("c", Subset.TEST)], CODES))
    with pytest.raises(NotForTraining, match="c belongs to 'test'"):
        list(cases)


def test_a_patient_in_training_and_validation_is_refused() -> None:
    class Twice(MemorySource):
        def names(self, subset: Subset) -> tuple[str, ...]:  # noqa: ARG002 # whatever is asked for
            return ("a",)

    with pytest.raises(NotForTraining, match=r"\['a'\] are in 'train' and in 'val'"):
        validation_cases(Twice([two_sided_case("a")], CODES))


def test_a_split_without_training_patients_is_refused() -> None:
    with pytest.raises(NotForTraining, match="no patient in 'train'"):
        TrainingCases(MemorySource([two_sided_case("c", Subset.TEST)], CODES))


def test_chosen_structures_come_in_the_order_asked_for() -> None:
    case = two_sided_case(structures=10)
    chosen = case.with_structures([8, 0])
    assert np.array_equal(chosen.mask(0), case.mask(8))
    assert np.array_equal(chosen.mask(1), case.mask(0))
    assert chosen.with_structures([1]).mask(0).sum() == case.mask(0).sum()
    assert chosen.planes is case.planes


def test_no_patient_is_both_trained_on_and_validated_on() -> None:
    split = openkbp_split()
    assert (len(split["train"]), len(split["val"])) == (95, 15)
    assert set(split["train"]).isdisjoint(split["val"])


@pytest.mark.shared_data
@pytest.mark.skipif(not OPENKBP.is_dir(), reason=f"no OpenKBP data at {OPENKBP}")
def test_a_patient_is_cut_to_whole_cross_sections_and_says_what_nobody_drew() -> None:
    patients = OpenKbp(OPENKBP)
    case = patients.case("pt_1")
    assert case.subset is Subset.TRAIN
    assert patients.case("pt_201").subset is Subset.VAL
    assert case.hu_zyx.shape[0] == 90 - 29  # body_k0 and body_k1 of patients.csv
    drawn = {name for name, was_drawn in zip(STRUCTURES, case.drawn, strict=True) if was_drawn}
    assert drawn == {"Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Mandible", "PTV_High"}
    assert case.spacing_zyx_mm == pytest.approx((2.5, 3.906, 3.906), abs=1e-3)
    for index in range(len(STRUCTURES)):
        z, y, x = case.places[index].T
        assert case.mask(index)[z, y, x].all()
    with pytest.raises(KeyError):
        patients.case("pt_999")
