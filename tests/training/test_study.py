"""Studies: rows differ by what they say, runs are not repeated, and the table's figures can be worked out by hand."""

from pathlib import Path

import pytest

from tests.training.test_organ_task import as_toml, recipe, source
from training.recipe import RecipeRefused
from training.study import as_table, changed, load_study, run_study

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


def test_the_table_averages_over_structures_of_patients() -> None:
    """A: patients 0.4 and 0.6 -> 0.5; B: patient p only, 0.9 -> mean 0.7. Patients' own means 0.65 and 0.6."""
    one = {"p": {"A": 0.4, "B": 0.9}, "q": {"A": 0.6}}
    other = {"p": {"A": 0.5, "B": 0.9}, "q": {"A": 0.8}}
    rows = as_table({"first": [one], "second": [other, one]}).splitlines()
    assert rows[2] == "| first | 1 | 0.500 | 0.900 | 0.700 | one run | 0.035 | +0.000 |  |"
    # the second: seeds 0.775 and 0.700; patients' means over seeds 0.675 and 0.700: +0.0625 over the first
    assert rows[3].startswith(
        "| second | 2 | 0.575 | 0.900 | 0.738 | 0.700 to 0.775 | 0.018 | +0.062 | 0.500 |"
    )


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


@pytest.mark.parametrize("name", ["hn_oar_one_change", "hn_oar_patients"])
def test_the_studies_here_can_be_read(name: str) -> None:
    folder = Path(__file__).resolve().parents[2] / "training" / "studies"
    assert len(load_study(folder / f"{name}.toml").rows) >= 2
