"""The search: equal weights for the first epochs, alternating updates on held-back patients, the top operation kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from inference.server.networks.soars_unet import OPERATIONS, SoarsUnet, SoarsUnetConfig
from tests.support.models import contract_document
from tests.support.training import MemorySource, two_sided_case
from training.augment import Augmentation
from training.cases import NotForTraining, Subset
from training.loop import Batch, Schedule, TrainingStopped
from training.loss import masked_bce_dice
from training.recipe import Recipe, RecipeRefused, load_recipe
from training.search.__main__ import found_architecture, main
from training.search.architecture import (
    ArchitectureRefused,
    FoundArchitecture,
    load_architecture,
    write_architecture,
)
from training.search.halves import halves
from training.search.search import BETAS, Data, Epoch, SearchSchedule, search
from training.search.supernet import MixedOperation, Supernet

CODES = ("Parotid_L", "Parotid_R")
CONFIG = SoarsUnetConfig(out_channels=2, channels=(4, 6), operations=("3d3",) * 3)


def sample(index: int, *, offset: float = 0.0) -> Batch:
    rng = np.random.default_rng([7, index])
    inputs = torch.from_numpy(rng.standard_normal((1, 1, 4, 8, 8), dtype=np.float32)) + offset
    labels = (inputs > offset).to(torch.float32).expand(-1, 2, -1, -1, -1)
    return Batch(inputs=inputs, labels=labels, drawn=torch.tensor([[True, True]]))


def loss(network: nn.Module, batch: Batch, _progress: float) -> torch.Tensor:
    return masked_bce_dice(network(batch.inputs), batch.labels, batch.drawn, torch.ones(2))


def short(**changes: object) -> SearchSchedule:
    values = {
        "equal_epochs": 2,
        "alternating_epochs": 2,
        "steps_an_epoch": 6,
        "learning_rate": 0.05,
        **changes,
    }
    return SearchSchedule.model_validate(values)


def test_published_numbers_are_the_defaults() -> None:
    published = SearchSchedule()
    assert (published.equal_epochs, published.alternating_epochs, published.batch) == (200, 300, 2)
    assert (published.learning_rate, published.weight_decay, BETAS[0]) == (0.005, 0.005, 0.9)


def test_weights_are_exactly_a_sixth_until_the_alternation() -> None:
    epochs: list[Epoch] = []
    search(CONFIG, Data(for_weights=sample, for_alphas=sample, loss=loss), short(), epochs.append)
    assert [epoch.alternating for epoch in epochs] == [False, False, True, True]
    sixth = torch.softmax(torch.zeros(6), dim=0).tolist()
    assert sixth == pytest.approx([1 / 6] * 6)
    for epoch in epochs[:2]:
        assert epoch.gammas == [sixth] * 3
    assert all(row != sixth for row in epochs[-1].gammas)


def test_alphas_learn_on_held_back_samples_and_only_in_the_alternation() -> None:
    asked: list[tuple[str, int]] = []

    def of_weights(index: int) -> Batch:
        asked.append(("w", index))
        return sample(index)

    def of_alphas(index: int) -> Batch:
        asked.append(("a", index))
        return sample(index, offset=0.3)

    data = Data(for_weights=of_weights, for_alphas=of_alphas, loss=loss)
    search(CONFIG, data, short(equal_epochs=1, alternating_epochs=1, steps_an_epoch=2, batch=2))
    assert [kind for kind, _ in asked] == list("wwww") + list("wwaawwaa")


def test_the_same_seed_finds_the_same() -> None:
    data = Data(for_weights=sample, for_alphas=sample, loss=loss)
    first, second = (search(CONFIG, data, short()) for _ in range(2))
    assert first.gammas() == second.gammas()


def test_a_step_of_one_side_leaves_the_other_untouched() -> None:
    network = Supernet(CONFIG)
    names = {name for name, _ in network.named_parameters()}
    assert len([name for name in names if "alpha" in name]) == 3
    assert {id(p) for p in network.weights()}.isdisjoint(id(a) for a in network.alphas)
    assert len(network.weights()) + 3 == len(list(network.parameters()))


def test_a_place_mixes_all_operations_by_softmax() -> None:
    alpha = torch.nn.Parameter(torch.log(torch.tensor([0.1, 0.2, 0.3, 0.1, 0.1, 0.2])))
    mixed = MixedOperation(CONFIG, 1, 2, alpha)
    features = torch.randn(1, 1, 4, 6, 6)
    parts = [choice(features) for choice in mixed.choices]
    expected = sum(weight * part for weight, part in zip((0.1, 0.2, 0.3, 0.1, 0.1, 0.2), parts, strict=True))
    assert torch.allclose(mixed(features), expected, atol=1e-6)


def test_both_places_of_a_block_share_their_alpha() -> None:
    network = Supernet(CONFIG)
    for i, block in enumerate([*network.network.encoder, *network.network.decoder]):
        assert block.first.alpha is block.second.alpha is network.alphas[i]


def test_the_top_operation_is_kept() -> None:
    network = Supernet(CONFIG)
    with torch.no_grad():
        for i, alpha in enumerate(network.alphas):
            alpha[(2 * i + 1) % 6] = 1.0
    names = list(OPERATIONS)
    assert network.found() == (names[1], names[3], names[5])


def test_a_loss_that_is_no_number_stops_the_search() -> None:
    def broken(network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        return loss(network, batch, progress) * float("nan")

    with pytest.raises(TrainingStopped, match="nan"):
        search(CONFIG, Data(for_weights=sample, for_alphas=sample, loss=broken), short())


def source(count: int = 6) -> MemorySource:
    training = [two_sided_case(f"t{i}") for i in range(count)]
    others = [two_sided_case("v", Subset.VAL), two_sided_case("x", Subset.TEST)]
    return MemorySource([*training, *others], (*CODES, "Larynx"))


def test_training_patients_are_split_two_to_one_and_no_other_is_seen() -> None:
    weights, alphas = halves(source(), 5)
    assert (len(weights.cases), len(alphas.cases)) == (4, 2)
    assert set(weights.cases) | set(alphas.cases) == {f"t{i}" for i in range(6)}
    assert not set(weights.cases) & set(alphas.cases)
    assert weights.names(Subset.VAL) == alphas.names(Subset.TEST) == ()
    with pytest.raises(NotForTraining):
        weights.case("v")
    with pytest.raises(NotForTraining, match="two training patients"):
        halves(source(1), 5)


def recipe(architecture: str = "soars_unet") -> Recipe:
    document = contract_document("tiny", CODES)
    contract = {
        k: v for k, v in document.items() if k not in ("format", "version", "provenance", "checksums")
    }
    parameters = {"out_channels": 2, "channels": [4, 6], "operations": ["3d3"] * 3, "in_channels": 2}
    if architecture != "soars_unet":
        parameters = {"out_channels": 2, "channels": [4, 6, 8, 8]}
    contract["runtime"]["networks"]["network"] = {"architecture": architecture, "parameters": parameters}
    return Recipe.model_validate(
        {
            "contract": contract,
            "data": "boxes",
            "schedule": Schedule(steps=2),
            "augmentation": Augmentation(affine_share=0.0),
            "precision": "fp32",
        }
    )


def test_what_was_found_is_written_and_read_by_a_recipe(tmp_path: Path) -> None:
    found = found_architecture(recipe(), source(), short(steps_an_epoch=2))
    write_architecture(found, tmp_path / "architecture.json")
    assert load_architecture(tmp_path / "architecture.json") == found
    assert len(found.operations) == 3
    assert set(found.for_weights).isdisjoint(found.for_alphas)
    text = """
data = "boxes"
searched = "architecture.json"
[schedule]
steps = 2
[contract]
name = "tiny"
description = "x"
body_region = "head_neck"
licence = "none"
citation = "none"
inputs = [{ modality = "CT", intensities = "HU" }]
structures = [{ code = "Parotid_L" }, { code = "Parotid_R" }]
[contract.runtime]
kind = "native"
[contract.runtime.networks.network]
architecture = "soars_unet"
parameters = { in_channels = 2, out_channels = 2, channels = [4, 6] }
[contract.runtime.pipeline]
name = "whole_volume_tiles"
windows_hu = [[-160.0, 240.0], [-1000.0, 1500.0]]
tile_zyx = [16, 16, 16]
voxels = { accepted_in_plane_mm = [3.4, 5.5], accepted_slice_mm = [1.9, 3.4], in_plane_mm = 4.0, slice_mm = 2.5 }
"""
    (tmp_path / "recipe.toml").write_text(text)
    read = load_recipe(tmp_path / "recipe.toml")
    parameters = read.draft().native.networks["network"].parameters
    assert parameters["operations"] == list(found.operations)
    with torch.device("meta"):
        SoarsUnet(SoarsUnetConfig(channels=(4, 6), operations=found.operations))

    (tmp_path / "architecture.json").write_text("{}")
    with pytest.raises(RecipeRefused, match=r"architecture\.json"):
        load_recipe(tmp_path / "recipe.toml")


def test_files_and_networks_that_do_not_fit_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RecipeRefused, match="compact_unet3d"):
        found_architecture(recipe("compact_unet3d"), source(), short())
    with pytest.raises(ArchitectureRefused, match=r"training\.search"):
        load_architecture(tmp_path / "absent.json")
    odd = FoundArchitecture(
        operations=("4d3",), gammas=((1.0,),), equal_epochs=0, alternating_epochs=1, seed=0, for_weights=("a",),
        for_alphas=("b",), recipe_sha256="0",
    )  # fmt: skip
    write_architecture(odd, tmp_path / "odd.json")
    with pytest.raises(ArchitectureRefused, match="4d3"):
        load_architecture(tmp_path / "odd.json")
    assert (
        main([str(tmp_path / "none.toml"), "--data", str(tmp_path), "--out", str(tmp_path / "a.json")]) == 1
    )
    assert "none.toml" in capsys.readouterr().err
    assert not (tmp_path / "a.json").exists()
    assert json.loads((tmp_path / "odd.json").read_text())["format"] == 1
