"""The verb `rules`: the same versions as on the page, from the terminal."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.cli import main

RULES = '[[rules]]\nname = "head-neck"\nmodel = "hn_oar"\ndestinations = ["tps"]\n'
PEERS = '[peers.tps]\nae_title = "TPS"\nhost = "127.0.0.1"\nport = 104\n'
Node = Callable[..., tuple[int, str]]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text(f'[node]\nstorage_dir = "store"\n{PEERS}{RULES}')
    assert main(["migrate", "--settings", str(file)]) == 0
    return file


@pytest.fixture
def rules(settings: Path, capsys: pytest.CaptureFixture[str]) -> Node:
    """Run an act of the verb and give its exit code and everything it said."""

    def run(*words: object) -> tuple[int, str]:
        code = main(["rules", "--settings", str(settings), *map(str, words)])
        said = capsys.readouterr()
        return code, " ".join((said.out + said.err).split())

    return run


def test_a_file_is_checked_activated_and_rolled_back(rules: Node, tmp_path: Path) -> None:
    neck, wrong = tmp_path / "neck.toml", tmp_path / "wrong.toml"
    neck.write_text(RULES.replace("head-neck", "neck"))
    wrong.write_text(RULES.replace("hn_oar", "lung"))
    assert "the rules of the settings are active: head-neck" in rules("list")[1]
    code, said = rules("check", wrong)
    assert (code, f"{wrong}:3:9: no model lung" in said) == (1, True)
    code, said = rules("activate", wrong, "--reason", "x")
    assert (code, "line 3, column 9: no model lung" in said) == (1, True)
    assert rules("check", neck)[0] == 0
    assert "version 2" in rules("activate", neck, "--reason", "the neck")[1]
    assert '+name = "head-neck"' in rules("show", "1", "--diff")[1]
    code, said = rules("activate", neck, "--reason", "x", "--seen", "1")
    assert (code, "the rules have changed since you looked" in said) == (1, True)
    assert "version 3" in rules("rollback", "1", "--reason", "as before")[1]
    assert "restores 1: as before" in rules("list")[1]


def test_a_settings_file_that_was_edited_is_adopted(rules: Node, settings: Path, tmp_path: Path) -> None:
    neck = tmp_path / "neck.toml"
    neck.write_text(RULES.replace("head-neck", "neck"))
    assert "version 2" in rules("activate", neck, "--reason", "the neck")[1]
    settings.write_text(settings.read_text().replace("head-neck", "edited"))
    assert "contour-node rules adopt" in rules("list")[1]
    assert "neck" in rules("show")[1]
    assert "version 3" in rules("adopt", "--reason", "edited on the host")[1]
    assert "edited" in rules("show")[1]
    assert "WARNING" not in rules("list")[1]


def test_a_draft_is_kept_and_discarded(rules: Node, tmp_path: Path) -> None:
    neck = tmp_path / "neck.toml"
    neck.write_text("[[rules]]\n")
    assert "draft 2" in rules("draft", neck)[1]
    assert rules("activate", "--draft", "2", "--reason", "x")[0] == 1
    assert rules("discard", "2")[0] == 0
    code, said = rules("discard", "2")
    assert (code, "is discarded, not a draft" in said) == (1, True)
    assert rules("show", "9")[0] == 1
