"""Slice by slice with a network that answers by rule.

Discs come back where they are, neighbours reach the right channels.
"""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from inference.contract import ModelContract
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.pipelines.slice_stacks import stacked
from inference.server.predictor import StructurePlanes
from tests.support.models import model_contract, native_runtime

CROP = {
    "kind": "body_crop",
    "size_yx": [48, 64],
    "accepted_in_plane_mm": [1.5, 2.5],
    "in_plane_mm": 2.0,
}
WHOLE = {"kind": "resized_slice", "size_yx": [64, 64]}


class Bright(nn.Module):
    """Takes what is above a grey level in the middle channel as every structure."""

    def __init__(self, structures: int = 1, *, level: float = 160.0) -> None:
        super().__init__()
        self.structures, self.level = structures, level
        self.seen: list[torch.Tensor] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "Bright":
        """The form that is served is this one: a test looks at what it saw."""
        return self

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        self.seen.append(frames)
        middle = frames[:, frames.shape[1] // 2 : frames.shape[1] // 2 + 1]
        return (middle - self.level).expand(-1, self.structures, -1, -1)


def contract(codes: tuple[str, ...] = ("Disc",), **pipeline: Any) -> ModelContract:
    runtime = native_runtime(codes)
    runtime["pipeline"] = {
        "name": "slice_stacks",
        "mean": [0.0],
        "sd": [1.0],
        "window_hu": [-1000.0, 1000.0],
        "frame": CROP,
        "accepted_slice_mm": [1.0, 6.0],
        "slice_mm": 3.0,
        **pipeline,
    }
    structures = [{"code": code, "fill_holes": False} for code in codes]
    return model_contract(codes=codes, runtime=runtime, structures=structures)


def found(
    of: ModelContract, network: nn.Module, hu: NDArray[np.int16], spacing: tuple[float, float, float]
) -> StructurePlanes:
    return build_pipeline(of, {"network": network}, torch.device("cpu")).predict(hu, spacing)


def patient(
    spacing: tuple[float, float, float], size_mm: tuple[float, float, float] = (30, 120, 140)
) -> NDArray[np.int16]:
    """A body of water with a bright cylinder of 20 mm radius about (y, x) = (50, 80) mm, from z = 9 to 21 mm."""
    z, y, x = (
        (np.arange(round(length / step)) + 0.5) * step for length, step in zip(size_mm, spacing, strict=True)
    )
    radius = np.hypot(y[None, :, None] - 50, x[None, None, :] - 80)
    hu = (
        np.where(np.hypot(y[None, :, None] - 60, x[None, None, :] - 70) < 55, 0, -1000) + 0 * z[:, None, None]
    )
    inside = (radius < 20) & ((z > 9) & (z < 21))[:, None, None]
    return np.where(inside, 900, hu).astype(np.int16)


@pytest.mark.parametrize("spacing", [(3.0, 2.0, 2.0), (3.0, 1.0, 1.0), (5.0, 0.9, 0.9), (0.75, 3.5, 3.5)])
@pytest.mark.parametrize("frame", [CROP, WHOLE])
def test_a_disc_comes_back_in_its_place(spacing: tuple[float, float, float], frame: dict[str, Any]) -> None:
    hu = patient(spacing)
    answer = found(contract(frame=frame), Bright(), hu, spacing)
    mask, truth = answer.planes[0].astype(bool), hu > 500
    assert mask.shape == hu.shape
    dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    assert dice > (0.9 if spacing[0] > 1 else 0.8)
    assert answer.mean_probability[0] > 0.9


def test_what_lies_beyond_the_frame_is_not_found_and_nothing_moves() -> None:
    """A frame of 96 x 128 mm about the body's middle (60, 70): rows below 12 mm and above 108 mm are not seen."""
    hu = patient((3.0, 2.0, 2.0))
    hu[:, 3:9] = 900  # 6..18 mm, across: only its rows from 12 mm on are in the frame
    mask = found(contract(), Bright(level=240), hu, (3.0, 2.0, 2.0)).planes[0].astype(bool)
    rows = np.flatnonzero(mask[0].any(axis=1))
    assert (rows.min(), rows.max()) == (6, 8)


def test_a_ct_smaller_than_the_frame_is_padded_with_air() -> None:
    network = Bright()
    hu = patient((3.0, 2.0, 2.0), (30, 80, 100))
    answer = found(contract(), network, hu, (3.0, 2.0, 2.0))
    assert all(frames.shape[-2:] == (48, 64) for frames in network.seen)
    assert network.seen[0][0, 0, 0, 0] == 0
    assert np.array_equal(answer.planes[0].astype(bool), hu > 500)


def test_neighbours_are_channels_and_the_ends_are_repeated() -> None:
    slices = torch.arange(4.0).reshape(4, 1, 1).expand(4, 2, 2)
    assert stacked(slices, 5)[:, :, 0, 0].tolist() == [
        [0, 0, 0, 1, 2],
        [0, 0, 1, 2, 3],
        [0, 1, 2, 3, 3],
        [1, 2, 3, 3, 3],
    ]
    assert stacked(slices, 1)[:, :, 0, 0].tolist() == [[0], [1], [2], [3]]


def test_five_slices_reach_the_network_and_the_middle_one_is_answered_for() -> None:
    network = Bright()
    hu = patient((3.0, 2.0, 2.0))
    answer = found(contract(slices=5), network, hu, (3.0, 2.0, 2.0))
    assert network.seen[0].shape[1] == 5
    assert np.array_equal(answer.planes[0].astype(bool), hu > 500)


def test_three_means_make_three_channels() -> None:
    network = Bright()
    found(
        contract(mean=[1.0, 2.0, 3.0], sd=[1.0, 1.0, 1.0]), network, patient((3.0, 2.0, 2.0)), (3.0, 2.0, 2.0)
    )
    channels = network.seen[0][0, :, 24, 32]
    assert (channels[0] - channels[1]).item() == (channels[1] - channels[2]).item() == 1


def test_structures_may_overlap() -> None:
    answer = found(contract(("A", "B")), Bright(2), patient((3.0, 2.0, 2.0)), (3.0, 2.0, 2.0))
    assert set(np.unique(answer.planes)) == {0, 3}


def test_exclusive_classes_become_structures() -> None:
    class Classes(nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            bright = frames[:, :1] - 160
            return torch.cat([torch.zeros_like(bright), bright, -bright], dim=1)

    hu = patient((3.0, 2.0, 2.0))
    answer = found(contract(("A", "B"), exclusive=True), Classes(), hu, (3.0, 2.0, 2.0))
    first = (answer.planes[0] & 1).astype(bool)
    assert np.array_equal(first, hu > 500)
    assert not (first & ((answer.planes[0] >> 1) & 1).astype(bool)).any()


def test_a_ct_of_air_gives_nothing() -> None:
    answer = found(contract(), Bright(), np.full((4, 40, 40), -1000, np.int16), (3.0, 2.0, 2.0))
    assert not answer.planes.any()
    assert answer.mean_probability.tolist() == [0]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match="means"):
        contract(mean=[1.0, 2.0])
    with pytest.raises(ValidationError, match="slices"):
        contract(slices=2)
    with pytest.raises(ValidationError, match="low to high"):
        contract(window_hu=[5.0, 5.0])
