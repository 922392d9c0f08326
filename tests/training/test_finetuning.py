"""Localized fine-tuning: ways side by side, nothing forgotten unseen, a structure that got worse keeps its weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.contract import load_contract
from inference.server.runtimes.catalogue import load_predictor
from tests.support.training import MemorySource
from tests.training.test_organ_task import CODES, as_toml, cases, recipe, source, write_source
from training.__main__ import main
from training.cases import Case, NotForTraining, Subset, bit_planes, places_of
from training.checkpoints import write_checkpoint
from training.finetuning.acceptance import Acceptance, as_table, decisions
from training.finetuning.accepted_run import AcceptedRun
from training.finetuning.scored import NETWORK_FILE
from training.finetuning.start import Start, check_patients
from training.finetuning.tuning import FineTuning
from training.finetuning.ways import Budget, FoldTask, ReplayTask, schedule_of, slices_an_epoch
from training.loop import TrainingRun
from training.organ_task import OrganTask
from training.precision import Precision
from training.publish import publish
from training.recipe import RecipeRefused
from training.run_record import begin

BUDGET = Budget(steps=40, folds=2, epochs=2, epoch_steps=3)


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published version that was trained for 120 steps."""
    folder = tmp_path_factory.mktemp("version")
    schedule = recipe().schedule.model_copy(update={"steps": 120})
    task = OrganTask(recipe(schedule=schedule), source())
    (folder / "recipe.toml").write_text(as_toml(task.recipe.model_dump(mode="json")))
    begin(folder / "run", task.recipe, source(), folder, Precision())
    torch.set_num_threads(1)
    TrainingRun(task, task.recipe.schedule, folder / "run").train()
    image = source().case("v")
    publish(folder / "run", folder / "models", [(image.hu_zyx, image.spacing_zyx_mm)], "last")
    return folder


def start(version: Path) -> Start:
    return Start.of(version / "models" / "tiny" / "1", version / "recipe.toml")


def wider(case: Case, name: str) -> Case:
    """The first structure four columns wider towards the middle, the second as it was."""
    masks = [case.mask(place) for place in range(len(case.drawn))]
    masks[0][6:14, 8:16, 16:26] = True
    places = tuple(places_of(mask, np.random.default_rng(0)) for mask in masks)
    return replace(case, name=name, planes=bit_planes(masks), places=places)


def clinic() -> MemorySource:
    return MemorySource([wider(case, f"new_{case.name}") for case in cases()], CODES)


def tuned(version: Path, folder: Path) -> FineTuning:
    return FineTuning(
        start=start(version),
        new=clinic(),
        data=folder,
        folder=folder,
        old=source(),
        budget=BUDGET,
        ways=("study", "budgeted", "replay", "scratch"),
    )


def test_every_way_is_scored_on_both_styles_and_nothing_is_repeated(version: Path, tmp_path: Path) -> None:
    tables = tuned(version, tmp_path).run([2])
    rows = [line.removeprefix("| ").split(" | ")[0] for line in tables.splitlines() if line.startswith("| ")]
    ways = ("study", "budgeted", "replay", "scratch")
    expected = ["recipe", "before", *(f"{way}, 2 patients" for way in ways)]
    assert rows[: 2 * len(expected)] == 2 * expected, "new patients first, then old ones"
    assert "2 patients: " in tables
    learned = [file for file in tmp_path.rglob("*.pt") if file.parent.name != "accepted"]
    made = {file: file.stat().st_mtime_ns for file in learned}
    assert tuned(version, tmp_path).run([2]) == tables
    assert {file: file.stat().st_mtime_ns for file in learned} == made


def test_fine_tuning_learns_the_other_contours(version: Path, tmp_path: Path) -> None:
    """The first structure is drawn four columns wider: that is learned, and the run that is accepted is published."""
    tuning = replace(tuned(version, tmp_path), ways=("budgeted",), old=None, budget=Budget(steps=120))
    tables = tuning.run([None])
    scored = tuning._scored(tmp_path / "2" / "budgeted", start(version).trained)
    assert scored.new.dice["new_v"]["Parotid_L"] > 0.75
    assert "| Parotid_L | 1 |" in tables
    image = clinic().case("new_v")
    contract = publish(
        tmp_path / "2" / "accepted", tmp_path / "models", [(image.hu_zyx, image.spacing_zyx_mm)]
    )
    assert contract.name == "tiny"
    assert contract.provenance.data.endswith(
        "then, from version 1, other patients: 2 training patients, budgeted"
    )
    assert contract.provenance.steps == 120


def test_a_structure_that_got_worse_keeps_its_old_weights(version: Path, tmp_path: Path) -> None:
    """The adapted network answers one structure, the version before the other, in one published version."""
    before, spoiled = start(version).trained(), start(version).trained()
    with torch.no_grad():
        spoiled.network.head.bias += 30.0  # everything is every structure
    folder = tmp_path / "learned"
    folder.mkdir()
    write_checkpoint(
        {"averaged": spoiled.network.state_dict(), "state": {"step": 5, "spent_s": 1.0}},
        folder / NETWORK_FILE,
    )
    found = [decision("Parotid_L", accepted=True), decision("Parotid_R", accepted=False)]
    run = AcceptedRun(start=start(version), source=clinic(), data=tmp_path, folder=tmp_path / "accepted")
    run.write(folder, "5 training patients, budgeted", found, Precision())
    image = clinic().case("new_v")
    contract = publish(run.folder, tmp_path / "models", [(image.hu_zyx, image.spacing_zyx_mm)])
    assert contract.native.networks["network"].kept == (1,)
    served = load_predictor(contract, tmp_path / "models" / "tiny" / "1", torch.device("cpu"))
    own = load_predictor(load_contract(start(version).folder), start(version).folder, torch.device("cpu"))
    planes = served.predict(image.hu_zyx, image.spacing_zyx_mm).planes
    kept = own.predict(image.hu_zyx, image.spacing_zyx_mm).planes
    assert np.array_equal(planes >> 1 & 1, kept >> 1 & 1)
    assert (planes & 1).sum() > 3 * (kept & 1).sum()
    assert before.steps == 0
    with pytest.raises(RecipeRefused, match="has outputs of an earlier version"):
        Start.of(tmp_path / "models" / "tiny" / "1", version / "recipe.toml")


def decision(structure: str, *, accepted: bool) -> Acceptance:
    return Acceptance(structure=structure, patients=1, before=0.5, after=0.6, p=None, accepted=accepted)


def test_a_structure_is_accepted_where_its_mean_rose_and_pairs_together() -> None:
    before = {"p": {"A": 0.5, "B": 0.5, "C": 0.5, "D": 0.5}, "q": {"A": 0.5, "B": 0.5, "C": 0.5}}
    after = {"p": {"A": 0.7, "B": 0.6, "C": 0.4, "D": 0.6}, "q": {"A": 0.4, "B": 0.6, "C": 0.5}}
    found = {one.structure: one for one in decisions(before, after, [("B", "C")])}
    assert {code: one.accepted for code, one in found.items()} == {
        "A": True,
        "B": False,
        "C": False,
        "D": True,
    }
    assert (found["A"].before, found["A"].after, found["D"].patients) == (0.5, pytest.approx(0.55), 1)
    table = as_table([found["A"], found["C"]], {"A": (0.8, 0.7)})
    assert "| A | 2 | 0.500 | 0.550 | +0.050 | 1.000 | 0.800 | 0.700 | accepted |" in table
    assert table.endswith("|  |  | keeps its old weights: got worse |")


def test_the_study_learns_as_it_states() -> None:
    """Adam 1e-4 times 0.9 an epoch, 60 epochs, batches of 4; an epoch sees each slice once: two patients of 20."""
    how = schedule_of("study", recipe(), Budget(), 10)
    assert (how.optimiser, how.batch, how.steps, how.validate_every) == ("adam", 4, 600, 10)
    assert [how.rate(10 * epoch) for epoch in range(60)] == pytest.approx([1e-4 * 0.9**n for n in range(60)])
    assert slices_an_epoch(source()) == 10


def test_trained_weights_begin_at_a_lower_rate() -> None:
    budgeted, scratch = (schedule_of(way, recipe(), Budget(steps=50)) for way in ("budgeted", "scratch"))
    assert scratch.learning_rate == recipe().schedule.learning_rate
    assert budgeted.learning_rate == pytest.approx(0.3 * scratch.learning_rate)
    assert budgeted.steps == scratch.steps == 50


def test_a_fold_is_judged_by_the_loss_of_patients_that_it_did_not_learn_from(version: Path) -> None:
    """The lower the loss, the higher the mean by which the best network is chosen."""
    learned = OrganTask(start(version).recipe, source())
    fold = FoldTask(learned, OrganTask(start(version).recipe, clinic()))
    trained, random = fold.validate(start(version).network()), fold.validate(learned.network().eval())
    assert trained["loss"] < random["loss"]
    assert trained["mean"] > random["mean"]


def test_replay_draws_its_share_of_samples_from_old_patients() -> None:
    """New patients are brighter than old ones, so a sample says whose it is."""
    bright = clinic()
    for name in bright.names(Subset.TRAIN):
        bright.case(name).hu_zyx[:] += 200
    new, old = OrganTask(recipe(), bright), OrganTask(recipe(), source())
    drawn = [ReplayTask(new, old, 0.3).sample(index).inputs for index in range(60)]
    of_old = [torch.equal(inputs, old.sample(index).inputs) for index, inputs in enumerate(drawn)]
    of_new = [torch.equal(inputs, new.sample(index).inputs) for index, inputs in enumerate(drawn)]
    assert all(one != other for one, other in zip(of_old, of_new, strict=True))
    assert 8 <= sum(of_old) <= 28


def test_a_patient_who_is_kept_back_in_one_dataset_is_not_learned_from_in_the_other() -> None:
    check_patients(clinic(), source())
    check_patients(clinic(), None)
    moved = MemorySource([replace(case, subset=Subset.TRAIN) for case in cases()], CODES)
    with pytest.raises(NotForTraining, match=r"patients t, v are trained on in one dataset and held out"):
        check_patients(source(), moved)


@pytest.mark.parametrize(
    ("changes", "patients", "words"),
    [
        ({"old": None, "ways": ("replay",)}, [None], "give their dataset with --old"),
        ({"ways": ()}, [None], "no way is named"),
        ({}, [1], "needs at least two patients"),
        ({}, [3], "has 2 training patients, not 3"),
        ({"new": MemorySource(cases()[:2], CODES)}, [None], "nothing could be accepted"),
        ({"new": MemorySource(cases(), CODES[1:])}, [None], "the dataset has no Parotid_L"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_first_step(
    version: Path, tmp_path: Path, changes: dict[str, object], patients: list[int | None], words: str
) -> None:
    with pytest.raises((RecipeRefused, NotForTraining), match=words):
        replace(tuned(version, tmp_path / "out"), **changes).run(patients)
    assert not (tmp_path / "out").exists()


def test_versions_that_cannot_be_adapted_are_refused(version: Path) -> None:
    models = Path(__file__).resolve().parents[2] / "model_repository"
    with pytest.raises(RecipeRefused, match="is not a recipe of"):
        Start.of(models / "phantom_rectum" / "1", version / "recipe.toml")
    with pytest.raises(RecipeRefused, match="its runtime is"):
        Start.of(models / "phantom_mr_bladder" / "1", version / "recipe.toml")


def test_the_command_line(version: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_source(tmp_path / "data")
    verb = ["finetune", str(version / "models" / "tiny" / "1"), "--recipe", str(version / "recipe.toml")]
    where = ["--data", str(data), "--out", str(tmp_path / "out"), "--threads", "1", "--steps", "2"]
    assert main([*verb, *where, "--patients", "1", "2", "--ways", "budgeted"]) == 0
    assert "| budgeted, 2 patients |" in capsys.readouterr().out
    assert main([*verb, *where, "--patients", "9"]) == 1
    assert "has 2 training patients, not 9" in capsys.readouterr().err
