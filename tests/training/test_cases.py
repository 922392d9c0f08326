from pathlib import Path

import pytest

from training.cases import HN_STRUCTURES, openkbp_cases, openkbp_split

OPENKBP = Path(__file__).resolve().parents[2].parent / "shared/data/openkbp"


def test_no_patient_is_both_trained_on_and_validated_on() -> None:
    split = openkbp_split()
    assert (len(split["train"]), len(split["val"])) == (95, 15)
    assert set(split["train"]).isdisjoint(split["val"])


@pytest.mark.shared_data
@pytest.mark.skipif(not OPENKBP.is_dir(), reason=f"no OpenKBP data at {OPENKBP}")
def test_a_patient_is_cut_to_whole_cross_sections_and_says_what_nobody_drew() -> None:
    case = next(case for case in openkbp_cases(OPENKBP, "train") if case.name == "pt_1")
    assert case.hu_zyx.shape[0] == 90 - 29  # body_k0 and body_k1 of patients.csv
    drawn = {name for name, was_drawn in zip(HN_STRUCTURES, case.drawn, strict=True) if was_drawn}
    assert drawn == {"Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Mandible"}
    assert case.spacing_zyx_mm == pytest.approx((2.5, 3.906, 3.906), abs=1e-3)
