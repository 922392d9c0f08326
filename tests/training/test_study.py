"""Studies: rows differ by what they say, runs are not repeated, and the table's figures can be worked out by hand."""

from pathlib import Path

import pytest
from torch import nn

from tests.training.test_organ_task import as_toml, recipe, source
from tests.training.test_slice_training import recipe as slice_recipe
from training.organ_task import OrganTask
from training.recipe import RecipeRefused, load_recipe
from training.study import changed, load_study, run_study
from training.study_table import RunScores, Scores, as_table, scored

STUDY = """
name = "two rates"
recipe = "recipe.toml"
seeds = [1, 2]
[[rows]]
name = "slow"
[[rows]]
name = "fast, 1 patient"
changes = { "schedule.learning_rate" = 0.02 }
patients = 1
"""


def test_a_study_trains_what_is_missing_and_repeats_nothing(tmp_path: Path) -> None:
    short = recipe(schedule=recipe().schedule.model_copy(update={"steps": 4}))
    (tmp_path / "recipe.toml").write_text(as_toml(short.model_dump(mode="json")))
    (tmp_path / "study.toml").write_text(STUDY)
    study, out = load_study(tmp_path / "study.toml"), tmp_path / "out"
    table = run_study(study, source(), tmp_path, out, said=lambda _: None)
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| slow", "| fast, 1 patient"]
    assert '"train":["a"]' in (out / "fast,_1_patient" / "2" / "run.json").read_text().replace(
        " ", ""
    ).replace("\n", "")
    made = {file: file.stat().st_mtime_ns for file in out.rglob("checkpoint.pt")}
    assert len(made) == 4
    assert run_study(study, source(), tmp_path, out, said=lambda _: None) == table
    assert {file: file.stat().st_mtime_ns for file in out.rglob("checkpoint.pt")} == made


def run_of(dice: Scores, hd95_mm: Scores | None = None) -> RunScores:
    return RunScores(dice=dice, hd95_mm=hd95_mm or {}, parameters=1_500_000, ms_a_slice=None)


def test_the_table_averages_over_structures_of_patients() -> None:
    """A: patients 0.4 and 0.6 -> 0.5; B: patient p only, 0.9 -> mean 0.7. Patients' own means 0.65 and 0.6."""
    one = run_of({"p": {"A": 0.4, "B": 0.9}, "q": {"A": 0.6}}, {"p": {"A": 3.0}, "q": {"A": 5.0}})
    other = run_of({"p": {"A": 0.5, "B": 0.9}, "q": {"A": 0.8}})
    rows = as_table({"first": [one], "second": [other, one]}).splitlines()
    assert rows[2] == (
        "| first | 1.50 M |  | 1 | 0.500 | 0.900 | 0.700 | one run | 0.035 | +0.000 |  | 4.0 ± 1.4 | 1 of 3 |"
    )
    # the second: seeds 0.775 and 0.700; patients' means over seeds 0.675 and 0.700: +0.0625 over the first
    assert rows[3] == (
        "| second | 1.50 M |  | 2 | 0.575 | 0.900 | 0.738 | 0.700 to 0.775 | 0.018 | +0.062 | 0.500 | 4.0 ± 1.4 | 4 of 6 |"
    )
    assert rows[1].count("---") == rows[0].count("|") - 1 == rows[2].count("|") - 1


def test_a_small_p_is_said_to_be_small() -> None:
    """Twelve patients that all lose: an exact two-sided test gives 2 / 2**12 = 0.00049."""
    first = {f"p{number}": {"A": 0.5 + number / 100} for number in range(12)}
    worse = {name: {"A": row["A"] - 0.01 * (1 + index)} for index, (name, row) in enumerate(first.items())}
    rows = as_table({"first": [run_of(first)], "second": [run_of(worse)]}).splitlines()
    assert "| < 0.001 |" in rows[3]


def answer(network: nn.Module, logit: float) -> None:
    """Make a network of side outputs answer one logit everywhere, about."""
    assert isinstance(network.side_outputs, nn.ModuleList)
    for head in network.side_outputs:
        assert isinstance(head, nn.Conv2d)
        assert head.bias is not None
        nn.init.constant_(head.bias, logit)


def test_a_network_is_scored_by_its_distance_and_by_what_a_slice_costs() -> None:
    """Right where it answers, everything elsewhere: Dice 1 has the distance 0, and a structure not found has none."""
    task = OrganTask(slice_recipe(), source())
    network = task.network().eval()
    answer(network, -30.0)
    nothing = scored(task, network)
    assert set(nothing.dice) == set(nothing.hd95_mm) == {"v"}
    assert set(nothing.dice["v"].values()) == {0.0}
    assert nothing.hd95_mm["v"] == {}
    assert nothing.parameters == sum(values.numel() for values in network.parameters())
    assert nothing.ms_a_slice is not None
    assert nothing.ms_a_slice > 0
    answer(network, 30.0)
    everything = scored(task, network)
    assert min(everything.hd95_mm["v"].values()) > 20.0  # mm from the frame's edge to a box within it
    assert (
        scored(OrganTask(recipe(), source()), OrganTask(recipe(), source()).network().eval()).ms_a_slice
        is None
    )


def test_the_rows_of_a_study_take_another_recipe(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY + 'recipe = "third.toml"\n')
    rows = load_study(tmp_path / "study.toml", Path("other.toml")).rows
    assert [row.recipe for row in rows] == [Path("other.toml"), tmp_path / "third.toml"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schedule.speed": 1}, r"a recipe has no 'schedule\.speed'"),
        ({"nothing.at.all": 1}, r"a recipe has no 'nothing\.at\.all'"),
        ({"schedule.steps": 0}, r"schedule\.steps: Input should be greater"),
    ],
)
def test_a_change_that_a_recipe_does_not_have_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(RecipeRefused, match=words):
        changed(recipe(), changes)


@pytest.mark.parametrize("name", ["hn_oar_one_change", "hn_oar_patients", "slice_wise"])
def test_the_studies_here_can_be_read(name: str) -> None:
    folder = Path(__file__).resolve().parents[2] / "training" / "studies"
    rows = load_study(folder / f"{name}.toml").rows
    assert len(rows) >= 2
    for row in rows:
        assert row.recipe is not None
        changed(load_recipe(row.recipe), row.changes)
