"""A CT of any position in, masks on its own grid out; an answer that does not fit is refused."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from imaging.volumes.orientation import canonical
from imaging.volumes.volume import Mask, Volume
from inference.client import Prediction, TritonClient
from inference.contract import ModelContract
from inference.embedded import EmbeddedTriton
from inference.errors import ModelFailed
from inference.segment import masks_of, segment
from tests.support.models import model_contract, moody_contract
from tests.support.volumes import PRONE_FEET_FIRST, UPRIGHT, air, volume

SPEC = model_contract(codes=("Left", "Absent"))


@dataclass(frozen=True)
class SeesTheLeft:
    """Answers, for a canonical CT: 'Left' is what is above 0 HU in the half of the larger column indices."""

    def infer(self, contract: ModelContract, volume: Volume) -> Prediction:  # noqa: ARG002 - the protocol's
        planes = (volume.array_zyx > 0)[None].astype(np.uint8)
        planes[..., : planes.shape[-1] // 2] = 0
        return Prediction(planes=planes, mean_probability=np.array([0.75, 0.0], np.float32))


@dataclass(frozen=True)
class Answers:
    prediction: Prediction

    def infer(self, contract: ModelContract, volume: Volume) -> Prediction:  # noqa: ARG002 - the protocol's
        return self.prediction


def two_balls() -> Volume:
    array = air((9, 20, 30))
    array[2:4, 5:9, 3:6] = 50
    array[6:8, 11:13, 22:26] = 50
    return volume(array)


@pytest.mark.parametrize("axes", [UPRIGHT, PRONE_FEET_FIRST, ((0, 0, 1), (0, -1, 0), (-1, 0, 0))])
def test_left_is_the_patients_left_in_every_position_and_on_the_cts_own_grid(axes: tuple) -> None:
    ct = replace(two_balls(), grid=replace(two_balls().grid, axes_lps=axes))

    result = segment(ct, SPEC, SeesTheLeft())

    mask = result.masks.by_code["Left"].full(ct.grid.shape_zyx)
    assert result.masks.grid == ct.grid
    columns_to_the_left = axes[2][0] > 0
    expected = np.zeros(ct.grid.shape_zyx, bool)
    if columns_to_the_left:
        expected[6:8, 11:13, 22:26] = True
    else:
        expected[2:4, 5:9, 3:6] = True
    assert np.array_equal(mask, expected)
    assert result.mean_probability == {"Left": 0.75, "Absent": 0.0}


def test_an_empty_structure_is_a_mask_and_a_note() -> None:
    result = segment(two_balls(), SPEC, SeesTheLeft())
    assert result.masks.by_code["Absent"].voxels() == 0
    assert result.notes == ("Absent: not found",)


def test_a_structure_at_the_end_of_the_scan_is_noted() -> None:
    array = air((4, 6, 8))
    array[0, 3, 6] = 50
    assert "Left: reaches the lowest slice" in segment(volume(array), SPEC, SeesTheLeft()).notes[0]


def planes(shape: tuple[int, ...] = (1, 9, 20, 30), value: int = 0) -> np.ndarray:
    return np.full(shape, value, np.uint8)


@pytest.mark.parametrize(
    ("answer", "means", "reason"),
    [
        (planes((2, 9, 20, 30)), [0, 0], r"expected masks of shape \(1, 9, 20, 30\)"),
        (planes((1, 9, 30, 20)), [0, 0], "expected masks"),
        (planes(), [0, 0, 0], "expected 2 probabilities"),
        (planes(), [0, np.nan], "not a number"),
        (planes(value=4), [0, 0], "bits beyond the 2 structures"),
    ],
)
def test_an_answer_that_does_not_fit_is_a_failure(
    answer: np.ndarray, means: list[float], reason: str
) -> None:
    prediction = Prediction(planes=answer, mean_probability=np.array(means, np.float32))
    with pytest.raises(ModelFailed, match=reason):
        segment(two_balls(), SPEC, Answers(prediction))


@pytest.mark.triton
@pytest.mark.network
def test_a_real_server_finds_what_lies_on_one_side_of_a_turned_patient(triton: EmbeddedTriton) -> None:
    array = air((12, 21, 33))
    array[1:3, 2:5, 4:9] = 1000
    array[9:11, 15:19, 20:31] = 1008
    ct = volume(array, axes_lps=PRONE_FEET_FIRST)
    with TritonClient(triton.url, shared_memory=True, timeout_s=30) as client:
        result = segment(ct, moody_contract(), client)
        turned = client.infer(moody_contract(), canonical(ct))
    assert np.array_equal(result.masks.by_code["A"].full(array.shape), array == 1000)
    assert np.array_equal(result.masks.by_code["I"].full(array.shape), array == 1008)
    assert turned.planes[0][9:11, 16:19, 4:9].all()
    array[0, 0, 0] = 2003  # the model's order to answer with a slice too few
    with TritonClient(triton.url, shared_memory=True, timeout_s=30) as client, pytest.raises(ModelFailed):
        segment(volume(array), moody_contract(), client)


def test_structures_are_cut_out_of_planes_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    full = rng.random((11, 5, 6, 7)) < 0.03
    full[4] = False
    planes = np.zeros((2, 5, 6, 7), np.uint8)
    for index, mask in enumerate(full):
        planes[index // 8] |= mask.astype(np.uint8) << np.uint8(index % 8)
    for mask, expected in zip(masks_of(planes, 11), map(Mask.from_full, full), strict=True):
        np.testing.assert_array_equal(mask.crop_zyx, expected.crop_zyx)
        assert mask.start_zyx == expected.start_zyx
