"""The recipes of the studies train as their texts state; what a text leaves open stands in the recipe's comments."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.training import two_sided_case
from training.augment import Augmentation, Cutting, draw_patch
from training.loop import Schedule
from training.optimisers import OptimiserWish, make_optimiser
from training.recipe import Recipe, load_recipe
from training.samples import patch_size

RECIPES = Path(__file__).resolve().parents[2] / "training" / "recipes"
NOT_STATED = {"averaging": 0.0, "gradient_norm": 1e9, "warmup_steps": 0}


def recipe(name: str) -> Recipe:
    return load_recipe(RECIPES / f"{name}.toml")


def rates(schedule: Schedule) -> list[float]:
    """The rate at the beginning of each epoch."""
    return [schedule.rate(step) for step in range(0, schedule.steps, schedule.validate_every)]


@pytest.mark.parametrize("name", ["lung_gtv", "rectum", "cervix", "deeplab"])
def test_what_no_study_states_is_not_done(name: str) -> None:
    found = recipe(name)
    assert {key: getattr(found.schedule, key) for key in NOT_STATED} == NOT_STATED
    vary = found.augmentation
    assert (vary.hu_shift, vary.hu_gain, vary.noise_hu, vary.couch_share) == (0.0, 0.0, 0.0, 0.0)


def test_lung_gtv() -> None:
    """Batch 8, Adam 1e-4 that stays, 50 epochs of 6048 slices of 512 x 512, 2/3 of them augmented, equation 1."""
    found = recipe("lung_gtv")
    how = found.schedule
    assert (how.batch, how.optimiser, how.steps, how.validate_every) == (8, "adam", 50 * 756, 756)
    assert how.validate_every * how.batch == 6048
    assert set(rates(how)) == {1e-4}
    assert found.patches.size_zyx == (1, 512, 512)
    assert found.loss.name == "weighted_by_prediction"
    assert found.augmentation.affine_share == pytest.approx(2 / 3, abs=1e-3)
    assert found.augmentation.angle_deg == 0.0, "flip, translation, scaling, cropping: no rotation"
    assert found.augmentation.shift > 0
    assert found.augmentation.anywhere_share == 0.0, "6048 slices of 300 patients are the tumour's alone"


def test_rectum() -> None:
    """Batch 4, Adam 1e-4 x 0.9 an epoch, 60 epochs; 48 patients train."""
    how = recipe("rectum").schedule
    assert (how.batch, how.optimiser) == (4, "adam")
    assert rates(how) == pytest.approx([1e-4 * 0.9**epoch for epoch in range(60)])
    assert how.rate(how.validate_every - 1) == 1e-4, "a rate holds for its whole epoch"
    assert recipe("rectum").augmentation.mirror_share == 0.0


def test_cervix() -> None:
    """Adam 1e-3, "decayed by a factor of 0.1 for each of the first three epochs"; five scales, five slices."""
    found = recipe("cervix")
    assert rates(found.schedule) == pytest.approx([1e-3, 1e-4, 1e-5, *[1e-6] * 47])
    assert found.schedule.optimiser == "adam"
    assert found.loss.name == "deep_supervision"
    assert patch_size(found.draft().native.pipeline) == (5, 256, 256)
    assert found.schedule.batch * found.schedule.validate_every == pytest.approx(3770, abs=10)


def test_deeplab() -> None:
    """256 -> 200, flips of half, batch 16, SGD 0.01 with mmsegmentation's momentum 0.9, poly 0.9 to 1e-4."""
    found = recipe("deeplab")
    how = found.schedule
    assert (how.batch, how.optimiser, how.momentum, how.nesterov, how.weight_decay) == (
        16,
        "sgd",
        0.9,
        False,
        5e-4,
    )
    assert how.rate(0) == pytest.approx(0.01)
    assert how.rate(20000) == pytest.approx(0.01 * 0.5**0.9)
    assert how.rate(39999) == pytest.approx(1e-4)
    assert found.patches.resized_yx == (200, 200)
    assert np.array(found.patches.size_zyx)[1:].tolist() == [400, 400], "200 of 256 pixels are 400 of 512"
    assert found.augmentation.mirror_share == 0.5
    assert found.loss.name == "cross_entropy"


def test_sgd_takes_its_momentum() -> None:
    wish = OptimiserWish(name="sgd", learning_rate=0.1, weight_decay=0.0, momentum=0.5, nesterov=False)
    (group,) = make_optimiser(wish, nn.Linear(2, 2)).param_groups
    assert (group["momentum"], group["nesterov"]) == (0.5, False)


def test_fields_that_came_later_leave_older_runs_as_they_are() -> None:
    """The digest of a recipe that uses none of them is the one before they came."""
    found = recipe("hn_oar")
    document = found.model_dump(mode="json")
    for field in ("roles", "guide_folds", "grey_levels"):
        del document[field]
    del document["loss"]["positive_weight"]
    for part, field in (("schedule", "momentum"), ("schedule", "nesterov"), ("schedule", "least_share")):
        del document[part][field]
    for part, field in (
        ("schedule", "epoch_factor"),
        ("schedule", "falling_epochs"),
        ("augmentation", "shift"),
    ):
        del document[part][field]
    assert found.sha256 == hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    other = found.model_copy(update={"schedule": found.schedule.model_copy(update={"epoch_factor": 0.9})})
    assert other.sha256 != found.sha256


def test_one_slice_of_an_affine_patch_is_one_slice_and_shifts_move_it() -> None:
    """Slices alternate between 0 and 1000 HU: a patch between two of them would hold 500."""
    case = two_sided_case("a")
    case.hu_zyx[:] = np.arange(len(case.hu_zyx))[:, None, None] % 2 * 1000
    still = {
        "mirror_share": 0.0,
        "affine_share": 1.0,
        "couch_share": 0.0,
        "anywhere_share": 0.0,
        "angle_deg": 0.0,
    }
    vary = Augmentation.model_validate({**still, "hu_shift": 0.0, "hu_gain": 0.0, "noise_hu": 0.0})
    how = Cutting(
        patch_zyx=(1, 8, 8),
        structure_weights=(1.0,) * len(case.drawn),
        mirror_order=(0, 1, 2),
        augmentation=vary,
    )
    for seed in range(6):
        middle = draw_patch(case, how, np.random.default_rng(seed)).hu[0, 4, 4]
        assert min(abs(float(middle)), abs(float(middle) - 1000)) < 1.0
    case.hu_zyx[:] = np.arange(case.hu_zyx.shape[2])[None, None] * 10
    moved = Cutting(**{**vars(how), "augmentation": vary.model_copy(update={"shift": 0.25})})
    pairs = [
        (draw_patch(case, cut, np.random.default_rng(seed)).hu[0, 4, 4])
        for seed in range(6)
        for cut in (how, moved)
    ]
    shifts = torch.tensor(pairs).reshape(6, 2).diff(dim=1).abs() / 10
    assert 0.3 < float(shifts.max()) <= 2.5, "at most a quarter of eight columns, scaled"


@pytest.mark.parametrize("name", ["soars_openkbp", "soars_openkbp_plain"])
def test_strata_on_openkbp_take_its_voxels_as_they_are(name: str) -> None:
    """Guides are predicted on a case's own grid: one resampled is refused. OpenKBP: 1.5-3.3, 2.7-5.5 mm."""
    voxels = recipe(name).draft().native.pipeline.voxels
    (thin, thick), (fine, coarse) = voxels.accepted_slice_mm, voxels.accepted_in_plane_mm
    assert thin <= 1.5 < 3.3 <= thick
    assert fine <= 2.7 < 5.5 <= coarse
