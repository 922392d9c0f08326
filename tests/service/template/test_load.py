from pathlib import Path

import pytest

from imaging.structures import CATALOGUE, InterpretedType
from service.errors import Refused
from service.template import TemplateRefused, default_template, load_template
from service.template.load import parse_template
from service.template.references import in_order

HEAD = 'template = 1\nname = "test"\n'
EXAMPLES = sorted((Path(__file__).parents[3] / "deploy/templates").glob("*.toml"))


def structure(name: str, *lines: str) -> str:
    return "\n".join(["[[structure]]", f'name = "{name}"', *lines, ""])


def refusal(*tables: str, head: str = HEAD) -> str:
    with pytest.raises(TemplateRefused) as raised:
        parse_template(head + "".join(tables), "it.toml")
    return str(raised.value)


CORD = structure("SpinalCord", 'from = "SpinalCord"')


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid(path: Path) -> None:
    assert load_template(path).sent()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


def test_numbers_are_their_own_or_the_lowest_free() -> None:
    template = parse_template(
        HEAD
        + structure("BODY", "external = true")
        + structure("Cord", 'from = "SpinalCord"', "number = 1")
        + structure("Hidden", 'from = "Larynx"', "send = false")
        + structure("Larynx", 'from = "Larynx"')
        + structure("Jaw", 'from = "Mandible"', "number = 3"),
        "it",
    )
    assert template.numbers() == {"BODY": 2, "Cord": 1, "Larynx": 4, "Jaw": 3}


def test_a_structure_can_be_made_from_one_that_stands_below_it() -> None:
    template = parse_template(
        HEAD
        + structure("PTV", 'from = "CTV"', 'type = "PTV"', "steps = [{ margin_mm = 6 }]")
        + structure("CTV", 'from = "Larynx"', "send = false"),
        "it",
    )
    assert [entry.name for entry in in_order(template)] == ["CTV", "PTV"]
    assert [entry.name for entry in template.sent()] == ["PTV"]


def test_a_name_that_is_a_code_means_the_finished_structure() -> None:
    template = parse_template(
        HEAD
        + structure("Larynx", 'from = "Larynx"', "steps = [{ smooth_mm = 2 }]", 'type = "ORGAN"')
        + structure("PRV", 'from = "Larynx"', "steps = [{ margin_mm = 2 }]", 'type = "AVOIDANCE"'),
        "it",
    )
    assert [entry.name for entry in in_order(template)] == ["Larynx", "PRV"]


def test_cycles_are_refused_with_their_path() -> None:
    message = refusal(
        structure("A", 'from = "B"', 'type = "PTV"'),
        structure("B", 'from = "Larynx"', 'type = "PTV"', 'steps = [{ subtract = "A" }]'),
    )
    assert "made from each other" in message
    assert "A -> B -> A" in message or "B -> A -> B" in message


def test_unknown_names_are_refused_with_the_nearest() -> None:
    message = refusal(CORD, structure("PRV", 'from = "SpinelCord"', 'type = "AVOIDANCE"'))
    assert "PRV: 'SpinelCord' is neither" in message
    assert "did you mean 'SpinalCord'" in message


def test_structures_of_another_model_are_refused() -> None:
    with pytest.raises(TemplateRefused, match="the model has Larynx"):
        parse_template(HEAD + CORD, "it", codes=("Larynx",))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (structure("Parotid_L", 'from = "Parotid_R"'), "the name says left, but it is made from the right"),
        (structure("Parotis", 'from = "Parotid_L"'), "its name does not say so"),
        (
            structure(
                "Parotids_L", 'from = "Parotid_L"', 'type = "ORGAN"', 'steps = [{ add = "Parotid_R" }]'
            ),
            "the name says left, but it is made from the left and right",
        ),
        (
            structure(
                "Parotid_L",
                'from = "Parotid_L"',
                'code = { value = "59797", scheme = "FMA", meaning = "Right parotid gland" }',
            ),
            "meaning 'Right parotid gland' says right",
        ),
    ],
)
def test_no_name_changes_the_side(table: str, says: str) -> None:
    assert says in refusal(table)


def test_what_is_subtracted_does_not_give_a_side() -> None:
    table = structure("CTV", 'from = "Larynx"', 'type = "CTV"', 'steps = [{ subtract = "Parotid_L" }]')
    assert parse_template(HEAD + table, "it").sent()


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (structure("A", 'from = "Larynx"', "colr = 1"), "structure 2 'A', colr: no such key; allowed: name, from"),
        (structure("A", 'from = "Larynx"', 'colour = "red"'), "a colour is '#rrggbb'"),
        (structure("A", 'from = "Larynx"', "colour = [0, 0, 256]"), "less than or equal to 255"),
        (structure("A", 'from = "Larynx"', 'type = "TUMOUR"'), "'EXTERNAL', 'PTV'"),
        (structure("A", 'from = "Larynx"', "number = 0"), "greater than or equal to 1"),
        (structure("A"), "either `from`, or `external = true`"),
        (structure("A", 'from = "Larynx"', "external = true"), "either `from`, or `external = true`"),
        (structure("A", 'from = "Larynx"', "threshold_hu = -400"), "external structure only"),
        (structure("A", 'from = "Larynx"', "steps = [{ margin_mm = 5 }]"), "needs its `type`"),
        (structure("A", 'from = "Larynx"', "steps = [{}]"), "exactly one verb"),
        (structure("A", 'from = "Larynx"', "steps = [{ margin_mm = -5 }]"), "greater than or equal to 0"),
        (structure("A", 'from = "Larynx"', "steps = [{ margin_mm = { up = 5 } }]"), "allowed: left, right"),
        (structure("A", 'from = "Larynx"', "steps = [{ ring_mm = { inner = 5, outer = 5 } }]"), "less than its outer"),
        (structure("A", 'from = "Larynx"', "steps = [{ smooth_mm = 2, distance_mm = 3 }]"), "subtract or inside"),
        (structure("A", 'from = "Larynx"', 'steps = [{ inside = "SpinalCord", optional = true }]'), "add or subtract"),
        (structure("A", 'from = "Larynx"', "steps = [{ add = [] }]"), "names at least one"),
        (structure(" A", 'from = "Larynx"'), "no space at either end"),
        (structure("spinalcord", 'from = "SpinalCord"'), "occurs 2 times"),
        (structure("BODY", "external = true") + structure("Skin", "external = true"), "only one structure"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(table: str, says: str) -> None:
    assert says in refusal(CORD, table)


def test_every_problem_is_told_at_once() -> None:
    message = refusal(
        structure("A", 'from = "Larynx"', "x = 1"),
        structure("B", 'from = "Larynx"', "number = -1"),
        "z = 3\n",
    )
    assert message.startswith("3 problem(s) with the template it.toml:")


def test_files_that_are_no_template_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    with pytest.raises(TemplateRefused, match="cannot be read"):
        load_template(path)
    path.write_bytes(b"name = \xff")
    with pytest.raises(TemplateRefused, match="not UTF-8"):
        load_template(path)
    path.write_text("name = ")
    with pytest.raises(TemplateRefused, match="not TOML"):
        load_template(path)
    path.write_text('template = 2\nname = "a"')
    with pytest.raises(Refused, match="template = 2"):
        load_template(path)
    path.write_text(HEAD)
    with pytest.raises(TemplateRefused, match="no structure is sent"):
        load_template(path)


def test_a_structure_that_the_catalogue_does_not_know_says_what_it_is() -> None:
    with pytest.raises(TemplateRefused, match="give its type and colour"):
        parse_template(HEAD + structure("A", 'from = "Q"'), "it", ("Q",))
    full = structure("A", 'from = "Q"', 'type = "ORGAN"', 'colour = "#102030"')
    assert parse_template(HEAD + full, "it", ("Q",)).structure[0].colour == (16, 32, 48)


def test_without_a_file_everything_goes_out() -> None:
    assert default_template().unlisted == "send"
    assert CATALOGUE["Larynx"].interpreted_type == InterpretedType.ORGAN


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 5000 + "]" * 5000, "x = " + "9" * 5000, ".".join(["a"] * 100_000) + " = 1"],
    ids=["nested", "digits", "parts"],
)
def test_what_the_parser_of_toml_cannot_bear_is_refused(text: str) -> None:
    with pytest.raises(TemplateRefused, match=r"it\.toml"):
        parse_template(HEAD + text, "it.toml")
