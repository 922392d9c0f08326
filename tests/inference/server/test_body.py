"""The patient's box: never smaller than the patient, whatever lies beside."""

import torch

from inference.server.body import body_box


def patient() -> torch.Tensor:
    hu = torch.full((10, 40, 50), -1000.0)
    hu[:, 10:25, 15:35] = 30.0
    return hu


def box(hu: torch.Tensor, margin: int = 0) -> list[tuple[int, int]] | None:
    found = body_box(hu, threshold_hu=-500, margin_voxels_zyx=(margin, margin, margin))
    return None if found is None else [(side.start, side.stop) for side in found]


def test_the_box_is_tight_and_its_margin_stays_inside_the_ct() -> None:
    assert box(patient()) == [(0, 10), (10, 25), (15, 35)]
    assert box(patient(), margin=12) == [(0, 10), (0, 37), (3, 47)]


def test_a_thin_mask_and_specks_are_left_out_and_a_heavy_couch_is_taken_in() -> None:
    hu = patient()
    hu[5, 2, 20:30] = 100.0
    hu[0, 39, 49] = 100.0
    assert box(hu) == [(0, 10), (10, 25), (15, 35)]
    hu[:, 30:33, 5:45] = 0.0
    assert box(hu) == [(0, 10), (10, 33), (5, 45)]


def test_a_couch_that_touches_the_patient_does_not_shrink_the_box() -> None:
    hu = patient()
    hu[:, 25:27, :] = 0.0
    assert box(hu) == [(0, 10), (10, 27), (0, 50)]


def test_two_parts_of_one_patient_are_both_inside() -> None:
    hu = torch.full((10, 40, 50), -1000.0)
    hu[6:, 5:15, 5:15] = 0.0
    hu[:4, 20:30, 30:44] = 0.0
    assert box(hu) == [(0, 10), (5, 30), (5, 44)]


def test_air_has_no_body() -> None:
    assert box(torch.full((3, 4, 5), -1000.0)) is None
