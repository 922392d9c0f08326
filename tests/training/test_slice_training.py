"""Slice-wise networks from recipe to published version; each loss by its name; what a sample is for each pipeline."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from evaluation.overlap import dice
from inference.server.networks.catalogue import build_network
from inference.server.runtimes.catalogue import load_predictor
from tests.support.models import contract_document
from tests.support.training import MemorySource, two_sided_case
from training.augment import Augmentation, Patch
from training.cases import Case, Subset
from training.loop import Schedule, TrainingRun
from training.losses.catalogue import LOSSES
from training.measured import measured
from training.organ_task import OrganTask
from training.precision import Precision
from training.publish import publish
from training.recipe import LossRecipe, PatchRecipe, Recipe, RecipeRefused, load_recipe
from training.roles import role_recipe
from training.run_record import begin
from training.samples import expected_voxels, network_sample, patch_size
from training.thresholds import GRID, chosen_thresholds

CODES = ("Parotid_L", "Parotid_R")
RECIPES = sorted((Path(__file__).resolve().parents[2] / "training" / "recipes").glob("*.toml"))
NETWORK = {
    "architecture": "mnet",
    "parameters": {"in_channels": 3, "out_channels": 2, "channels": [8, 16], "side_inputs": [4]},
}


def recipe(
    network: dict[str, object] = NETWORK, loss: str = "deep_supervision", **pipeline: object
) -> Recipe:
    document = contract_document("tiny", CODES)
    contract = {
        k: v for k, v in document.items() if k not in ("format", "version", "provenance", "checksums")
    }
    contract["structures"] = [{"code": code, "single_piece": False} for code in CODES]
    contract["left_right_pairs"] = [["Parotid_L", "Parotid_R"]]
    contract["runtime"] = {
        "kind": "native",
        "networks": {"network": network},
        "pipeline": {
            "name": "slice_stacks",
            "slices": 3,
            "window_hu": [-200.0, 400.0],
            "mean": [100.0],
            "sd": [60.0],
            "frame": {
                "kind": "body_crop",
                "size_yx": [24, 32],
                "accepted_in_plane_mm": [3.0, 5.0],
                "in_plane_mm": 4.0,
            },
            "accepted_slice_mm": [2.0, 6.0],
            "slice_mm": 3.0,
            **pipeline,
        },
    }
    return Recipe.model_validate(
        {
            "contract": contract,
            "data": "boxes",
            "precision": "fp32",
            "augmentation": Augmentation(mirror_share=0.0, affine_share=0.0, couch_share=0.0),
            "loss": LossRecipe.model_validate({"name": loss}),
            "schedule": Schedule(
                steps=180,
                batch=2,
                learning_rate=1e-2,
                warmup_steps=3,
                averaging=0.8,
                validate_every=180,
                checkpoint_every=180,
            ),
        }
    )


def cases() -> list[Case]:
    return [two_sided_case("a"), two_sided_case("b"), two_sided_case("v", Subset.VAL)]


def source() -> MemorySource:
    return MemorySource(cases(), (*CODES, "Larynx"))


def test_a_network_of_several_scales_is_trained_validated_and_published(tmp_path: Path) -> None:
    task = OrganTask(recipe(), source())
    begin(tmp_path / "run", task.recipe, source(), tmp_path, Precision())
    torch.set_num_threads(1)
    TrainingRun(task, task.recipe.schedule, tmp_path / "run").train()
    case = source().case("v")
    contract = publish(tmp_path / "run", tmp_path / "models", [(case.hu_zyx, case.spacing_zyx_mm)], "last")
    served = load_predictor(contract, tmp_path / "models" / "tiny" / "1", torch.device("cpu"))
    planes = served.predict(case.hu_zyx, case.spacing_zyx_mm).planes
    found = [dice((planes[0] >> i & 1).astype(bool), case.mask(i)) for i in range(2)]
    assert min(found) > 0.6
    assert list(contract.provenance.validation_dice.values()) == pytest.approx(found, abs=1e-4)
    chosen, table = chosen_thresholds(task.recipe, source(), tmp_path / "run", 2)
    assert set(chosen) == set(CODES)
    assert all(len(table["Parotid_L"][threshold]) == 2 for threshold in GRID)


def test_a_sample_is_the_middle_slice_seen_as_serving_sees_it() -> None:
    task = OrganTask(recipe(), source())
    assert patch_size(task.how) == (3, 24, 32)
    batch = task.sample(0)
    assert batch.inputs.shape == (1, 3, 24, 32)
    assert batch.labels.shape == (1, 2, 24, 32)
    hu = torch.zeros(3, 4, 4)
    hu[0], hu[1], hu[2] = -200, 100, 400
    labels = torch.zeros(2, 3, 4, 4)
    labels[1, 1, 2, 2] = 1
    made = network_sample(task.how, Patch(hu=hu, labels=labels, drawn=torch.tensor([True, False])))
    assert made.inputs[0, :, 0, 0].tolist() == pytest.approx(
        [(0 - 100) / 60, (128 - 100) / 60, (255 - 100) / 60]
    )
    assert torch.equal(made.labels[0], labels[:, 1])


def test_a_crop_of_whole_slices_is_resized() -> None:
    task = OrganTask(recipe(), source())
    patch = Patch(hu=torch.zeros(3, 5, 5), labels=torch.ones(2, 3, 5, 5), drawn=torch.tensor([True, True]))
    made = network_sample(task.how, patch, (10, 10))
    assert made.inputs.shape == (1, 3, 10, 10)
    assert made.labels.min() == 1


def test_expected_voxels_are_the_pipelines() -> None:
    expected = expected_voxels(OrganTask(recipe(), source()).how)
    assert expected is not None
    assert expected.in_plane_mm == 4.0
    whole = recipe(frame={"kind": "resized_slice", "size_yx": [24, 32]})
    assert expected_voxels(OrganTask(whole, source()).how) is None


UNET = {"architecture": "unet2d", "parameters": {"in_channels": 3, "out_channels": 2, "channels": [4, 8]}}


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"uanet"}))  # its own test: it asks the network
def test_every_loss_has_a_gradient(name: str) -> None:
    scales = name.startswith("deep")
    softmax = name.startswith("softmax")
    unet = {**UNET, "parameters": {**UNET["parameters"], "out_channels": 3}} if softmax else UNET  # type: ignore[dict-item]
    how = recipe(NETWORK if scales else unet, name, exclusive=softmax)
    if name == "deep_supervision_mean_first":
        mean = {
            "in_channels": 3,
            "out_channels": 2,
            "channels": [4, 4, 4, 4, 4],
            "side_inputs": [4],
            "ending": "mean",
        }
        how = recipe(
            {"architecture": "mnet", "parameters": mean},
            name,
            frame={**how.contract["runtime"]["pipeline"]["frame"], "size_yx": [16, 32]},
        )
    task = OrganTask(how, source())
    network = build_network(task.contract.native.networks["network"]).train()
    batch = task.sample(1)
    loss = task.loss(network, batch, 0.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


class TwoScales(nn.Module):
    def forward(self, _inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.zeros(1, 2, 4, 4),) * 2


def test_a_loss_of_one_output_refuses_several_scales() -> None:
    task = OrganTask(recipe(loss="cross_entropy"), source())
    with pytest.raises(RecipeRefused, match="deep_supervision"):
        task.loss(TwoScales(), task.sample(0), 0.0)


def test_a_network_that_cannot_be_built_or_cannot_take_the_frame_is_refused_before_training() -> None:
    frame = {**recipe().contract["runtime"]["pipeline"]["frame"], "size_yx": [25, 32]}
    with pytest.raises(RecipeRefused, match="multiples of 2, not 25"):
        OrganTask(recipe(frame=frame), source())
    with pytest.raises(RecipeRefused, match="no parameters \\['width'\\]"):
        OrganTask(recipe({"architecture": "mnet", "parameters": {"width": 3}}), source())


def test_a_task_of_one_network_refuses_several() -> None:
    document = recipe().model_dump(mode="json")
    document["contract"]["runtime"] = {
        "kind": "native",
        "networks": {
            role: {"architecture": "soars_unet", "weights": f"{role}.safetensors"} for role in ("anchor", "mid_level")
        },
        "pipeline": {
            "name": "stratified", "tile_zyx": [16, 16, 16], "anchors": ["Parotid_L"], "mid_level": ["Parotid_R"],
            "voxels": {"accepted_in_plane_mm": [3, 5], "accepted_slice_mm": [2, 4], "in_plane_mm": 4, "slice_mm": 3},
        },
    }  # fmt: skip
    with pytest.raises(RecipeRefused, match="anchor, mid_level"):
        OrganTask(Recipe.model_validate(document), source())


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_every_recipe_of_the_project_can_be_built(file: Path) -> None:
    whole = load_recipe(file)
    for role in whole.draft().native.pipeline.roles:
        found = role_recipe(whole, role)
        runtime = found.draft().native
        with torch.device("meta"):
            network = build_network(runtime.networks[role])
        assert list(network.parameters())
        assert np.prod(found.patches.size_zyx or patch_size(runtime.pipeline)) > 0
    assert PatchRecipe().resized_yx is None


def test_grey_levels_are_measured_on_training_patients_alone() -> None:
    """Half of each training CT at the window's top, half at its bottom: mean and sd 127.5. The others are air."""
    cases = [two_sided_case("a"), two_sided_case("b"), two_sided_case("v", Subset.VAL)]
    for case in cases[:2]:
        case.hu_zyx[:10], case.hu_zyx[10:] = 400, -200
    source = MemorySource(cases, (*CODES, "Larynx"))
    wanted = recipe().model_copy(update={"grey_levels": "measured"})
    found = measured(wanted, source)
    how = found.draft().native.pipeline
    assert (how.mean, how.sd) == ((127.5,), (127.5,))
    assert found.grey_levels == "stated", "a run goes on with what it measured"
    assert measured(found, source) == found
    assert measured(recipe(), source) == recipe(), "nothing is measured unless it is asked for"
    for case in cases[:2]:
        case.hu_zyx[:] = -1000
    with pytest.raises(RecipeRefused, match="one grey level: is window_hu"):
        measured(wanted, source)
