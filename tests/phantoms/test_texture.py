"""Grain and noise: fixed by their seeds, and of the size they are said to have."""

import numpy as np
import pytest

from phantoms.texture import Texture, scanner_noise


def test_grain_is_fixed_in_space() -> None:
    grain = Texture(seed=3)
    x, y, z = (np.linspace(-40, 40, n, dtype=np.float32) for n in (9, 17, 5))
    whole = grain.on(x[None, None], y[None, :, None], z[:, None, None])
    part = grain.on(x[None, None, 2:4], y[None, 5:7, None], z[1:2, None, None])
    assert whole[1:2, 5:7, 2:4] == pytest.approx(part)
    assert 0.1 < whole.std() < 1.0
    assert np.abs(whole).max() <= 1.31


def test_noise_has_its_strength_and_less_in_large_voxels() -> None:
    body = np.ones((6, 80, 80), bool)
    fine = scanner_noise(body, (2.5, 1.0, 1.0), 12.0, 1)
    coarse = scanner_noise(body, (2.5, 4.0, 4.0)[:3], 12.0, 1)
    assert fine.std() == pytest.approx(12.0, rel=0.05)
    assert coarse.std() < fine.std()
    assert np.array_equal(fine, scanner_noise(body, (2.5, 1.0, 1.0), 12.0, 1))


def test_shoulders_are_noisier_than_the_neck() -> None:
    neck, shoulders = np.zeros((4, 60, 450), bool), np.ones((4, 60, 450), bool)
    neck[:, :, 150:280] = True
    thin, thick = (scanner_noise(body, (2.5, 1.0, 1.0), 10.0, 2) for body in (neck, shoulders))
    assert thick.std() > 1.3 * thin.std()
