"""Heat maps: width in mm, centre of mass, and the maximum that is no organ."""

import math

import pytest
import torch

from inference.server.heat_maps import SD_MM, detections, heat_map, heat_maps


def test_the_standard_deviation_is_eight_mm_on_every_axis() -> None:
    assert SD_MM == 8.0
    heat = heat_map((10, 20, 20), (21, 41, 41), (4.0, 2.0, 1.0))
    one_sd = math.exp(-0.5)
    assert heat[10, 20, 20].item() == 1.0
    assert heat[12, 20, 20].item() == pytest.approx(one_sd)
    assert heat[10, 24, 20].item() == pytest.approx(one_sd)
    assert heat[10, 20, 28].item() == pytest.approx(one_sd)
    assert heat[12, 24, 28].item() == pytest.approx(math.exp(-1.5))


def test_the_centre_is_the_centre_of_mass() -> None:
    labels = torch.zeros(2, 6, 8, 10)
    labels[0, 2, 3, 4:8] = 1  # centre x 5.5
    heat = heat_maps(labels, (2.0, 2.0, 2.0))
    assert heat[0, 2, 3, 5].item() == heat[0, 2, 3, 6].item() == pytest.approx(math.exp(-0.5 * (1 / 8) ** 2))
    assert not heat[1].any()


def test_the_maximum_is_the_organ_unless_it_is_low() -> None:
    heat = torch.zeros(3, 4, 5, 6)
    heat[0, 1, 2, 3] = 0.9
    heat[1, 3, 4, 5] = 0.09
    first, second, third = detections(heat)
    assert first is not None
    assert first.centre_zyx == (1, 2, 3)
    assert first.heat == pytest.approx(0.9)
    assert (second, third) == (None, None)
