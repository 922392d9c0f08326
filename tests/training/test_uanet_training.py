"""UaNet from recipe to published version: the loss asks the network's parts in their order."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.server.networks.uanet import Uanet
from tests.support.models import contract_document
from tests.support.training import MemorySource
from training.cases import Case, Subset, bit_planes, places_of
from training.loop import TrainingRun
from training.organ_task import OrganTask
from training.precision import Precision
from training.publish import publish
from training.recipe import Recipe, RecipeRefused
from training.run_record import begin

CODES = ("Parotid_L", "Parotid_R")


def one_case(name: str, subset: Subset, seed: int) -> Case:
    """A body with two boxes of different HU, each of 8 to 10 voxels a side."""
    rng = np.random.default_rng(seed)
    hu = np.full((32, 32, 48), -1000, np.int16)
    hu[:, 1:-1, 1:-1] = 40
    masks = []
    for value, x in ((700, 28), (-300, 8)):
        z, y = rng.integers(8, 14, 2)
        masks.append(np.zeros(hu.shape, bool))
        masks[-1][z : z + 8, y : y + 10, x : x + 10] = True
        hu[masks[-1]] = value
    return Case(
        name=name,
        subset=subset,
        hu_zyx=hu,
        planes=bit_planes(masks),
        drawn=np.ones(2, bool),
        places=tuple(places_of(mask, rng) for mask in masks),
        spacing_zyx_mm=(2.5, 4.0, 4.0),
    )


def source() -> MemorySource:
    cases = [one_case(name, Subset.TRAIN, seed) for seed, name in enumerate("abcd")]
    return MemorySource([*cases, one_case("v", Subset.VAL, 9)], CODES)


def recipe(steps: int = 120) -> Recipe:
    document = contract_document("tiny_uanet", CODES)
    contract = {
        k: v for k, v in document.items() if k not in ("format", "version", "provenance", "checksums")
    }
    contract["structures"] = [{"code": code, "smallest_piece_cc": 0.0} for code in CODES]
    contract["left_right_pairs"] = []
    contract["runtime"] = {
        "kind": "native",
        "networks": {
            "network": {
                "architecture": "uanet",
                "parameters": {"in_channels": 1, "out_channels": 2, "width": 1, "hidden": [16, 16]},
            }
        },
        "pipeline": {
            "name": "whole_volume_tiles",
            "windows_hu": [[-500.0, 1000.0]],
            "tile_zyx": [32, 32, 48],
            "overlap": 0.0,
            "voxels": {"accepted_in_plane_mm": [3, 5], "accepted_slice_mm": [2, 4], "in_plane_mm": 4, "slice_mm": 3},
        },
    }  # fmt: skip
    still = {"affine_share": 0.0, "mirror_share": 0.0, "couch_share": 0.0, "noise_hu": 0.0}
    schedule = {
        "steps": steps, "optimiser": "adam", "learning_rate": 1e-2, "warmup_steps": 3, "averaging": 0.5,
        "weight_decay": 0.0, "validate_every": steps, "checkpoint_every": steps,
    }  # fmt: skip
    return Recipe.model_validate(
        {
            "contract": contract,
            "data": "boxes",
            "precision": "fp32",
            "augmentation": still,
            "loss": {"name": "uanet"},
            "schedule": schedule,
        }
    )


def test_a_run_of_uanet_passes_all_its_parts_and_is_published(tmp_path: Path) -> None:
    """Twelve steps: proposals alone, boxes, masks; the version gives training's own prediction.

    How well, is not asked.
    """
    task = OrganTask(recipe(12), source())
    begin(tmp_path / "run", task.recipe, source(), tmp_path, Precision())
    assert TrainingRun(task, task.recipe.schedule, tmp_path / "run").train().step == 12
    case = source().case("v")
    contract = publish(tmp_path / "run", tmp_path / "models", [(case.hu_zyx, case.spacing_zyx_mm)])
    assert contract.native.networks["network"].architecture == "uanet"
    assert set(contract.provenance.validation_dice) == set(CODES)


@pytest.mark.parametrize(("progress", "parts"), [(0.0, {"propose"}), (0.21, {"propose", "classify"}), (0.3, {"propose", "classify", "mask"})])  # fmt: skip
def test_the_parts_begin_to_learn_in_the_authors_order(progress: float, parts: set[str]) -> None:
    task = OrganTask(recipe(), source())
    network = task.network().train()
    assert isinstance(network, Uanet)
    loss = task.loss(network, task.sample(0), progress)
    loss.backward()
    learning = {
        name
        for name in ("propose", "classify", "mask")
        if any(p.grad is not None for p in getattr(network, name).parameters())
    }
    assert torch.isfinite(loss)
    assert learning == parts


def test_a_batch_is_the_mean_of_its_samples() -> None:
    task = OrganTask(recipe(), source())
    network = task.network().eval()  # batch norm must not mix the samples
    one, other = task.sample(0), task.sample(1)
    both = type(one)(
        inputs=torch.cat([one.inputs, other.inputs]),
        labels=torch.cat([one.labels, other.labels]),
        drawn=torch.cat([one.drawn, other.drawn]),
    )
    apart = [task.loss(network, sample, 0.0).item() for sample in (one, other)]
    assert task.loss(network, both, 0.0).item() == pytest.approx(sum(apart) / 2, rel=1e-5)


def test_the_loss_refuses_another_network() -> None:
    task = OrganTask(recipe(), source())
    with pytest.raises(RecipeRefused, match="uanet"):
        task.loss(torch.nn.Identity(), task.sample(0), 0.0)
