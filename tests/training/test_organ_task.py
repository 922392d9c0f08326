"""A recipe from its file to a published version: trial, run, validation by the served predictor, parity."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from evaluation.overlap import dice
from imaging.volumes.grid import Grid
from inference.contract import load_contract, model_versions
from inference.server.networks.catalogue import build_network
from inference.server.runtimes.catalogue import load_predictor
from tests.support.models import contract_document
from tests.support.training import MemorySource, two_sided_case
from training.__main__ import main
from training.augment import Augmentation
from training.cases import Case, NotForTraining, Subset
from training.checkpoints import CheckpointRefused
from training.dataset import CaseRecord, write_case, write_index
from training.distributed import World
from training.loop import Schedule, TrainingRun, TrainingStopped
from training.organ_task import OrganTask
from training.precision import Precision, chosen_precision
from training.publish import NotPublished, publish
from training.recipe import LossRecipe, Recipe, RecipeRefused, load_recipe
from training.run_record import begin, write_thresholds
from training.split import Split, save_split
from training.thresholds import GRID, chosen_thresholds
from training.trial import trial
from training.validation import NotScored, as_table, scores, surface_dice

CODES = ("Parotid_L", "Parotid_R", "Larynx")
RECIPE = Path(__file__).resolve().parents[2] / "training" / "recipes" / "hn_oar.toml"
STEPS = 240
AXES = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))


def recipe(**changes: object) -> Recipe:
    document = contract_document("tiny", CODES[:2])
    contract = {
        k: v for k, v in document.items() if k not in ("format", "version", "provenance", "checksums")
    }
    contract["left_right_pairs"] = [["Parotid_L", "Parotid_R"]]
    contract["structures"] = [{"code": code, "single_piece": False} for code in CODES[:2]]
    schedule = Schedule(
        steps=STEPS,
        learning_rate=1e-2,
        warmup_steps=3,
        averaging=0.8,
        validate_every=120,
        checkpoint_every=120,
    )
    still = Augmentation(mirror_share=0.0, affine_share=0.0, couch_share=0.0)
    values = {
        "contract": contract,
        "augmentation": still,
        "data": "boxes",
        "schedule": schedule,
        "precision": "fp32",
        **changes,
    }
    return Recipe.model_validate(values)


def cases() -> list[Case]:
    """Two to train on, one to validate on, one that is never looked at."""
    return [
        two_sided_case("a"),
        two_sided_case("b"),
        two_sided_case("v", Subset.VAL),
        two_sided_case("t", Subset.TEST),
    ]


def source() -> MemorySource:
    return MemorySource(cases(), CODES)


def write_source(folder: Path) -> Path:
    """The same cases as a prepared dataset."""
    placed = {case.name: case.subset for case in cases()}
    folder.mkdir()
    save_split(Split.fresh().model_copy(update={"patients": placed}), folder)
    for case in cases():
        record = CaseRecord(
            patient=case.name,
            spacing_zyx_mm=case.spacing_zyx_mm,
            shape_zyx=case.hu_zyx.shape,
            drawn=dict(zip(CODES, case.drawn.tolist(), strict=True)),
            volume_cc=dict.fromkeys(CODES, 1.0),
        )
        write_case(case, record, CODES, folder)
    write_index(CODES, ((name, name) for name in placed), folder)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 240 steps; tests only read it."""
    folder = tmp_path_factory.mktemp("run")
    task = OrganTask(recipe(), source())
    begin(folder, task.recipe, source(), folder, Precision())
    torch.set_num_threads(1)
    TrainingRun(task, task.recipe.schedule, folder).train()
    return folder


def test_a_run_is_published_as_a_version_that_predicts_the_same(tmp_path: Path, run: Path) -> None:
    case = source().case("v")
    images = [(case.hu_zyx, case.spacing_zyx_mm)]
    contract = publish(run, tmp_path / "models", images, "last")

    version = tmp_path / "models" / "tiny" / "1"
    assert contract == load_contract(version)
    averaged = torch.load(run / "checkpoint.pt", weights_only=True)["averaged"]
    loaded = load_file(version / "weights.safetensors")
    assert all(torch.equal(loaded[name], value) for name, value in averaged.items())
    served = load_predictor(contract, version, torch.device("cpu")).predict(*images[0]).planes
    found = {code: dice((served[0] >> i & 1).astype(bool), case.mask(i)) for i, code in enumerate(CODES[:2])}
    assert contract.provenance.validation_dice == pytest.approx(
        found, abs=1e-4
    )  # validated by the served predictor
    assert min(found.values()) > 0.5
    assert contract.provenance.split.startswith(
        "fixed by patient before training: 2 for training, 1 for validation"
    )
    card = (tmp_path / "models" / "tiny" / "README.md").read_text()
    assert f"| Parotid_L | {found['Parotid_L']:.3f} |" in card

    assert publish(run, tmp_path / "models", images).version == 2
    assert list(model_versions(tmp_path / "models" / "tiny")) == [1, 2]
    config = (tmp_path / "models" / "tiny" / "config.pbtxt").read_text()
    assert "version_1_package_sha256" in config
    assert "version_2_package_sha256" in config
    assert not list((tmp_path / "models").rglob("*.part"))


def test_a_version_that_predicts_otherwise_is_not_published(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = source().case("v")

    def spoiled(contract, folder: Path, device: torch.device):
        weights = load_file(folder / "weights.safetensors")
        weights["head.bias"] += 30.0
        save_file(weights, folder / "weights.safetensors")
        checksum = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
        return load_predictor(
            contract.model_copy(update={"checksums": {"weights.safetensors": checksum}}), folder, device
        )

    monkeypatch.setattr("training.publish.load_predictor", spoiled)
    with pytest.raises(NotPublished, match=r"image 1: [0-9]+ voxels differ"):
        publish(run, tmp_path / "models", [(case.hu_zyx, case.spacing_zyx_mm)])
    assert not list((tmp_path / "models").rglob("*"))


@pytest.mark.parametrize("fault", ["no run", "no validation", "other network", "damaged", "no image"])
def test_what_is_no_finished_run_is_not_published(tmp_path: Path, fault: str) -> None:
    case = source().case("v")
    images = [] if fault == "no image" else [(case.hu_zyx, case.spacing_zyx_mm)]
    run = tmp_path / "run"
    if fault != "no run":
        begin(run, recipe(), source(), run, Precision())
    if fault == "other network":
        torch.save(
            {"averaged": {"stray": torch.zeros(2)}, "state": {"step": 1, "spent_s": 1.0}}, run / "best.pt"
        )
    if fault == "damaged":
        (run / "best.pt").write_bytes(b"PK and then nothing")
    with pytest.raises((NotPublished, RecipeRefused, CheckpointRefused), match=r"run|no image"):
        publish(run, tmp_path / "models", images)
    assert not (tmp_path / "models").exists()


def test_a_run_goes_on_only_with_its_own_recipe_and_split(tmp_path: Path) -> None:
    begin(tmp_path, recipe(), source(), tmp_path, Precision())
    begin(tmp_path, recipe(), source(), tmp_path, Precision())
    with pytest.raises(TrainingStopped, match="begun with another recipe"):
        begin(tmp_path, recipe(data="others"), source(), tmp_path, Precision())
    with pytest.raises(TrainingStopped, match="begun with another precision"):
        begin(tmp_path, recipe(), source(), tmp_path, Precision(bf16=True))
    moved = MemorySource([two_sided_case("a"), two_sided_case("v", Subset.VAL)], CODES)
    with pytest.raises(TrainingStopped, match="begun with another split"):
        begin(tmp_path, recipe(), moved, tmp_path, Precision())


def test_samples_never_come_from_validation_or_test_patients() -> None:
    """The training patients' CT is bright, the others' dark: every sample is bright."""
    marked = [two_sided_case(n, s) for n, s in (("a", Subset.TRAIN), ("v", Subset.VAL), ("t", Subset.TEST))]
    for case in marked[1:]:
        case.hu_zyx[case.hu_zyx > -900] = -600
    task = OrganTask(recipe(), MemorySource(marked, CODES))
    assert all(task.sample(index).inputs[:, 1].max() > -0.5 for index in range(20))
    with pytest.raises(NotForTraining):
        OrganTask(recipe(), MemorySource(marked[1:], CODES))


def test_positive_weights_fade_between_two_fractions_of_the_run() -> None:
    loss = LossRecipe(positive_weights={"Parotid_L": 5.0}, annealed_between=(0.25, 0.75))
    assert [loss.strength(p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)] == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert LossRecipe().strength(0.99) == 1.0


def test_a_trial_names_what_would_spoil_the_run() -> None:
    fine = trial(OrganTask(recipe(), source()), World(), Precision(), lambda _: None)
    assert fine.faults == ()
    assert fine.hours > 0
    labels = recipe().contract | {"structures": [{"code": c} for c in (*CODES[:2], "Larynx")]}
    labels["runtime"]["networks"]["network"]["parameters"]["out_channels"] = 3
    slow = recipe().schedule.model_copy(update={"learning_rate": 1e-9})
    found = trial(
        OrganTask(recipe(contract=labels, schedule=slow), source()), World(), Precision(), lambda _: None
    )
    assert any(words == "Larynx: contoured in no training case" for words in found.faults)
    assert any("one sample is not learned" in words for words in found.faults)
    assert any("a: voxels" not in words for words in found.warnings)


def test_the_command_line_from_a_recipe_file_to_a_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_source(tmp_path / "data")
    schedule = recipe().schedule.model_copy(update={"steps": 6, "validate_every": 3})
    short = recipe(schedule=schedule)
    toml = tmp_path / "recipe.toml"
    toml.write_text(as_toml(short.model_dump(mode="json")))
    assert load_recipe(toml).sha256 == short.sha256
    run = ["run", str(toml), "--data", str(data), "--out", str(tmp_path / "run"), "--threads", "1"]
    assert main(run) == 0
    with (tmp_path / "run" / "validation.csv").open(newline="") as rows:
        assert [row["step"] for row in csv.DictReader(rows)] == ["3", "6"]
    assert (tmp_path / "run" / "predictions" / "step_000006.png").stat().st_size > 1000
    assert (
        main(["publish", str(tmp_path / "run"), "--data", str(data), "--repository", str(tmp_path / "m")])
        == 0
    )
    assert "tiny version 1: sha256" in capsys.readouterr().out
    assert main(["run", str(RECIPE), "--data", str(data), "--out", str(tmp_path / "other")]) == 1
    assert "the dataset has no Brainstem" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def as_toml(document: dict[str, object], prefix: str = "") -> str:
    """Enough of TOML for a recipe: plain values first, then tables."""
    plain = {k: v for k, v in document.items() if v is not None and not isinstance(v, dict)}
    lines = [f"{k} = {inline(v)}" for k, v in plain.items()]
    for key, value in document.items():
        if isinstance(value, dict):
            lines.append(f"[{prefix}{key}]\n{as_toml(value, f'{prefix}{key}.')}")
    return "\n".join(lines) + "\n"


def inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(v) for v in value) + "]"
    return json.dumps(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"recipe\.toml: contract: Field required"),
        ("a = ", "not valid TOML"),
        ("schedule = { steps = 0 }\ndata = ''\ncontract = {}", r"schedule\.steps: Input should be greater"),
    ],
)
def test_a_wrong_recipe_is_refused_with_file_and_field(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(RecipeRefused, match=words):
        load_recipe(tmp_path / "recipe.toml")


def test_weights_to_begin_with_are_checked(tmp_path: Path) -> None:
    network = build_network(recipe().draft().native.networks["network"])
    save_file(network.state_dict(), tmp_path / "start.safetensors")
    digest = hashlib.sha256((tmp_path / "start.safetensors").read_bytes()).hexdigest()
    good = recipe(start={"weights": "start.safetensors", "sha256": digest})
    (tmp_path / "recipe.toml").write_text(as_toml(good.model_dump(mode="json")))
    began = OrganTask(load_recipe(tmp_path / "recipe.toml"), source()).network()
    assert torch.equal(began.head.weight, network.head.weight)
    (tmp_path / "start.safetensors").write_bytes(b"other")
    with pytest.raises(RecipeRefused, match=r"start\.sha256 is .* but .*start\.safetensors has"):
        load_recipe(tmp_path / "recipe.toml")


def test_the_recipe_of_hn_oar_is_the_served_model() -> None:
    served = load_contract(RECIPE.parents[2] / "model_repository" / "hn_oar" / "1")
    draft = load_recipe(RECIPE).draft()
    assert draft.structures == served.structures
    assert draft.runtime == served.runtime


def test_bf16_is_taken_only_where_the_processor_has_it() -> None:
    able = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    assert chosen_precision("auto", torch.device("cpu")).bf16 is able
    assert chosen_precision("fp32", torch.device("cpu")).bf16 is False
    forced = chosen_precision("bf16", torch.device("cpu"))
    assert forced.bf16
    assert ("computes in" in forced.reason) is able
    with forced.autocast(torch.device("cpu")):
        assert (torch.ones(8, 8) @ torch.ones(8, 8)).dtype is torch.bfloat16


def test_thresholds_come_from_training_patients_and_go_into_the_version(tmp_path: Path, run: Path) -> None:
    """Both of a pair get one threshold; the validation patient cannot be read here at all."""

    class TrainingOnly(MemorySource):
        def case(self, name: str) -> Case:
            assert name in ("a", "b")
            return super().case(name)

    chosen, table = chosen_thresholds(recipe(), TrainingOnly(cases(), CODES), run, 5)
    assert chosen["Parotid_L"] == chosen["Parotid_R"]
    assert {len(values) for row in table.values() for values in row.values()} == {2}
    means = {t: sum(sum(table[code][t]) for code in CODES[:2]) for t in GRID}
    assert means[chosen["Parotid_L"]] == max(means.values())

    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    write_thresholds(folder, {"Parotid_L": 0.35})
    case = source().case("v")
    contract = publish(folder, tmp_path / "models", [(case.hu_zyx, case.spacing_zyx_mm)])
    assert [structure.threshold for structure in contract.structures] == [0.35, 0.5]


def test_a_version_is_scored_on_validation_patients_by_its_own_files(tmp_path: Path, run: Path) -> None:
    case = source().case("v")
    contract = publish(run, tmp_path / "models", [(case.hu_zyx, case.spacing_zyx_mm)])
    found = list(scores(tmp_path / "models" / "tiny" / "1", source()))
    assert [score.patient for score in found] == ["v", "v"]
    for score in found:
        assert score.dice == pytest.approx(contract.provenance.validation_dice[score.structure], abs=1e-4)
    rows = as_table(found).splitlines()
    assert rows[-1].startswith("| mean of the 2 | | ")


def test_surface_dice_at_3_mm_counts_what_lies_within() -> None:
    """A cube of 10 voxels of 2 mm moved by one voxel is within 3 mm everywhere; by two, its two end faces are not."""
    z, y, x = 24, 24, 24
    grid = Grid(shape_zyx=(z, y, x), origin_lps=(0, 0, 0), spacing_zyx_mm=(2.0,) * 3, axes_lps=AXES)
    cubes = [np.zeros((z, y, x), bool) for _ in range(3)]
    for shift, cube in enumerate(cubes):
        cube[5 + shift : 15 + shift, 5:15, 5:15] = True
    assert surface_dice(cubes[1], cubes[0], grid) == 1.0
    assert 0.6 < surface_dice(cubes[2], cubes[0], grid) < 0.85  # 4 of 6 faces, and the rims of the others
    assert surface_dice(np.zeros_like(cubes[0]), cubes[0], grid) == 0.0


def test_a_version_that_does_not_load_or_lacks_its_structures_is_not_scored(
    tmp_path: Path, run: Path
) -> None:
    case = source().case("v")
    publish(run, tmp_path / "models", [(case.hu_zyx, case.spacing_zyx_mm)])
    version = tmp_path / "models" / "tiny" / "1"
    with pytest.raises(NotScored, match="the data have no Parotid_R; they have Parotid_L"):
        list(scores(version, MemorySource([], ("Parotid_L",))))
    (version / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(NotScored, match=r"tiny/1 cannot be loaded: .*weights\.safetensors"):
        list(scores(version, source()))
