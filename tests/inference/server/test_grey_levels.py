"""Grey levels of 8 bits and their normalisation."""

import pytest
import torch

from inference.server.grey_levels import grey_levels, normalised


def test_4096_levels_become_256_linearly() -> None:
    stored = torch.tensor([0, 1, 8, 9, 2048, 4095, 5000])
    assert grey_levels(stored - 1024).tolist() == [0, 0, 0, 1, 128, 255, 255]


def test_a_window_is_clipped_at_its_ends() -> None:
    assert grey_levels(torch.tensor([-200, -160, 40, 240, 400]), (-160.0, 240.0)).tolist() == [
        0,
        0,
        128,
        255,
        255,
    ]


def test_one_channel_a_slice_or_three() -> None:
    grey = torch.tensor([10.0, 20.0]).reshape(1, 2, 1, 1)
    assert normalised(grey, (10.0,), (5.0,)).flatten().tolist() == [0, 2]
    three = normalised(grey, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    assert three.shape == (1, 6, 1, 1)
    expected = [
        (g - m) / s for g in (10, 20) for m, s in ((123.675, 58.395), (116.28, 57.12), (103.53, 57.375))
    ]
    assert three.flatten().tolist() == pytest.approx(expected)
