"""The stratified pipeline with networks that answer by rule."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from inference.contract import ModelContract
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.pipelines.tile_predictor import TILES_AT_ONCE
from inference.server.predictor import StructurePlanes
from tests.support.models import model_contract, native_runtime

SPACING = (2.5, 2.0, 2.0)
CODES = ("Anchor", "Middle", "Small_L", "Small_R")


class Above(nn.Module):
    """Background and one class: what is above a value of the CT channel (0..1) in any part of the window."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.seen: list[torch.Tensor] = []

    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        self.seen.append(channels)
        ct = channels[:, :1]
        inside = torch.minimum(ct - self.low, self.high - ct) * 100
        return torch.cat([-inside, inside], dim=1)


class Beside(nn.Module):
    """Background and one class: the CT's band, but only where the anchor is not."""

    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        assert channels.shape[1] == 2
        inside = torch.where(channels[:, 1:2] > 0.5, -9.0, (channels[:, :1] - 0.4) * 100)
        return torch.cat([-inside, inside], dim=1)


class Bright(nn.Module):
    """One logit: what is above 0.8."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        self.seen.append(channels)
        return (channels[:, :1] - 0.8) * 50


class Detector(nn.Module):
    """Heat: the CT's brightness left of the middle for one organ; nothing for the other."""

    def forward(self, channels: torch.Tensor) -> torch.Tensor:
        ct = channels[:, :1]
        return torch.cat([torch.where(ct > 0.85, ct, 0.0), torch.full_like(ct, 0.05)], dim=1)


def contract(**pipeline: Any) -> ModelContract:
    runtime = native_runtime(CODES)
    runtime["pipeline"] = {
        "name": "stratified",
        "tile_zyx": [16, 32, 32],
        "voxels": {
            "accepted_in_plane_mm": [1.5, 2.5],
            "accepted_slice_mm": [2.0, 3.0],
            "in_plane_mm": 2.0,
            "slice_mm": 2.5,
        },
        "anchors": ["Anchor"],
        "mid_level": ["Middle"],
        "small": [
            {"code": "Small_L", "largest_extent_mm": [10.0, 8.0, 8.0]},
            {"code": "Small_R", "largest_extent_mm": [10.0, 8.0, 8.0]},
        ],
        "voi_multiple": 4,
        **pipeline,
    }
    roles = ("anchor", "mid_level", "detector", "voi_Small_L", "voi_Small_R")
    runtime["networks"] = {
        role: {"architecture": "soars_unet", "weights": f"{role.lower()}.safetensors"} for role in roles
    }
    files = {f"{role.lower()}.safetensors": "0" * 64 for role in roles}
    structures = [{"code": code, "smallest_piece_cc": 0.0} for code in CODES]
    return model_contract(codes=CODES, runtime=runtime, checksums=files, structures=structures)


def patient() -> tuple[NDArray[np.int16], dict[str, tuple[slice, slice, slice]]]:
    """Water (0.33) with an anchor of 200 HU (0.47), a neighbour of 200 HU, and a small organ of 850 HU (0.9)."""
    hu = np.full((24, 60, 64), -1000, np.int16)
    hu[1:23, 8:52, 8:56] = 0
    places = {
        "Anchor": (slice(4, 12), slice(12, 24), slice(12, 24)),
        "Middle": (slice(4, 12), slice(30, 40), slice(12, 24)),
        "Small_L": (slice(10, 13), slice(30, 34), slice(40, 44)),
    }
    for code, value in (("Anchor", 160), ("Middle", 200), ("Small_L", 850)):
        hu[places[code]] = value
    return hu, places


def networks() -> dict[str, nn.Module]:
    return {
        "anchor": Above(0.42, 0.455),
        "mid_level": Beside(),
        "detector": Detector(),
        "voi_Small_L": Bright(),
        "voi_Small_R": Bright(),
    }


def found(of: ModelContract, using: dict[str, nn.Module], hu: NDArray[np.int16]) -> StructurePlanes:
    return build_pipeline(of, using, torch.device("cpu")).predict(hu, SPACING)


def mask(answer: StructurePlanes, code: str) -> NDArray[np.bool_]:
    return ((answer.planes[0] >> CODES.index(code)) & 1).astype(bool)


def filled(hu: NDArray[np.int16], place: tuple[slice, slice, slice]) -> NDArray[np.bool_]:
    truth = np.zeros(hu.shape, bool)
    truth[place] = True
    return truth


def test_each_stratum_is_found_in_its_way() -> None:
    hu, places = patient()
    using = networks()
    answer = found(contract(), using, hu)
    assert np.array_equal(mask(answer, "Anchor"), filled(hu, places["Anchor"]))
    assert np.array_equal(mask(answer, "Small_L"), filled(hu, places["Small_L"]))
    middle = mask(answer, "Middle")
    assert middle[places["Middle"]].all()
    assert not middle[places["Anchor"]].any()


def test_an_organ_that_is_not_detected_is_empty_and_its_network_is_not_asked() -> None:
    hu, _ = patient()
    using = networks()
    answer = found(contract(), using, hu)
    assert not mask(answer, "Small_R").any()
    assert answer.mean_probability[3] == 0
    assert using["voi_Small_R"].seen == []


def test_the_volume_of_interest_is_three_times_the_largest_extent() -> None:
    """30 mm / 2.5 = 12 slices, 24 mm / 2 = 12 pixels; all multiples of 4. One channel: the CT."""
    using = networks()
    found(contract(), using, patient()[0])
    assert [tuple(seen.shape) for seen in using["voi_Small_L"].seen] == [(1, 1, 12, 12, 12)]
    found(contract(anchors_in_voi=True), using, patient()[0])
    assert using["voi_Small_L"].seen[-1].shape == (1, 2, 12, 12, 12)


def test_without_guides_the_later_strata_see_the_ct_alone() -> None:
    using = networks()
    middle = Above(0.46, 0.48)
    answer = found(contract(anchors_guide=False), {**using, "mid_level": middle}, patient()[0])
    assert all(seen.shape[1] == 1 for seen in middle.seen)
    assert mask(answer, "Middle").any()


def test_the_window_becomes_0_to_1() -> None:
    using = networks()
    found(contract(), using, patient()[0])
    seen = torch.cat([tiles.flatten() for tiles in using["anchor"].seen])
    assert seen.min().item() == 0
    assert seen.max().item() == pytest.approx((850 + 500) / 1500, abs=1e-4)


def test_a_ct_of_air_gives_nothing() -> None:
    assert not found(contract(), networks(), np.full((8, 40, 40), -1000, np.int16)).planes.any()


def test_warming_up_asks_for_tiles_of_the_size_that_are_asked_later() -> None:
    using = networks()
    of = contract()
    build_pipeline(of, using, torch.device("cpu")).warm_up()
    (warm,) = [tuple(seen.shape) for seen in using["anchor"].seen]
    found(of, using, patient()[0])
    assert warm == (TILES_AT_ONCE, 1, 16, 32, 32)
    assert warm in [tuple(seen.shape) for seen in using["anchor"].seen[1:]]


def test_strata_that_are_not_the_structures_are_refused() -> None:
    with pytest.raises(ValueError, match="Middle"):
        found(contract(mid_level=["Other"]), networks(), patient()[0])
    with pytest.raises(ValidationError, match="two strata"):
        contract(mid_level=["Anchor"])
