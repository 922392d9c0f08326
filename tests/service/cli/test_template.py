from pathlib import Path

import pytest

from service.cli import main

ROOT = Path(__file__).parents[3]
XML = ROOT / "tests/service/template/files/eclipse-head-neck.xml"
EXAMPLE = ROOT / "deploy/templates/head-neck.toml"


def test_check_shows_what_goes_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["template", "check", str(EXAMPLE)]) == 0
    shown = capsys.readouterr().out
    assert "SpinalCord_PRV05" in shown
    assert "AVOIDANCE" in shown


def test_check_refuses_on_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.toml"
    path.write_text('template = 1\nname = "a"\n[[structure]]\nname = "x"\nfrom = "y"\n')
    assert main(["template", "check", str(path)]) == 1
    assert "x: 'y' is neither a structure of the model" in capsys.readouterr().err


def test_an_eclipse_template_becomes_one_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ours.toml"
    assert main(["template", "import-eclipse", str(XML), "-o", str(out)]) == 0
    assert "4 of 8 structures written" in capsys.readouterr().out
    assert main(["template", "check", str(out)]) == 0


def test_a_table_becomes_one_of_ours(tmp_path: Path) -> None:
    table, out = tmp_path / "ours.csv", tmp_path / "ours.toml"
    table.write_text("name,colour\nLarynx,#010203\n")
    assert main(["template", "import-csv", str(table), "-o", str(out)]) == 0
    assert 'colour = "#010203"' in out.read_text()


def test_nothing_is_overwritten_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "ours.toml"
    out.write_text("mine")
    arguments = ["template", "import-eclipse", str(XML), "-o", str(out)]
    assert main(arguments) == 1
    assert "exists" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert main([*arguments, "--overwrite"]) == 0
    assert out.read_text() != "mine"


def test_a_file_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["template", "import-csv", str(tmp_path / "no.csv"), "-o", str(tmp_path / "o.toml")]) == 1
    assert "no.csv" in capsys.readouterr().err


def test_a_wrong_call_is_two() -> None:
    with pytest.raises(SystemExit) as raised:
        main(["template"])
    assert raised.value.code == 2
