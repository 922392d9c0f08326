"""What a process imports: its own verb's or role's libraries, and not those of the others."""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from pkgutil import resolve_name

import pytest

from service.cli.main import RENAMED_COMMANDS, _parser, main
from service.components import prepare
from service.config import load_settings
from service.wiring import ROLES

ROOT = Path(__file__).parents[3]
LARGE = frozenset(
    {"SimpleITK", "alembic", "highdicom", "numpy", "pydicom", "pynetdicom", "scipy", "sqlalchemy", "torch"}
    | {"grpc", "prometheus_client", "rich", "tritonclient"}
)
DICOM = {"numpy", "pydicom"}
NETWORK = DICOM | {"pynetdicom"}
TABLES = {"sqlalchemy"}
MODELS = {"grpc", "numpy", "tritonclient"}
MAY_IMPORT: dict[str, set[str]] = {
    "receive": NETWORK | TABLES,
    "assemble": NETWORK | TABLES,
    "work": LARGE - {"SimpleITK", "alembic", "prometheus_client", "pynetdicom", "rich", "torch"},
    "send": NETWORK | TABLES,
    "retention": TABLES,
    "monitor": NETWORK | TABLES | MODELS | {"prometheus_client"},
    "web": NETWORK | TABLES,
    "forward-audit": TABLES,
    "triton": MODELS,
}

RUN_ROLE = """
import sys, threading
from pathlib import Path
import service.cli.main
from service.components import audit_writer
from service.config import load_settings
from service.wiring import ROLES
settings, stop = load_settings(Path(sys.argv[2]), {}), threading.Event()
run = ROLES[sys.argv[1]]()
stop.set()
if sys.argv[1] != "triton":  # its server is not started here
    run(settings, stop)
print("MODULES", *sys.modules)
"""
SETTINGS = """
[node]
storage_dir = "{folder}/store"
[database]
url = "sqlite:///{folder}/node.db"
[receive]
port = 0
[monitor]
port = 0
[web]
port = 0
[audit.syslog]
host = "127.0.0.1"
port = 9
transport = "tcp"
"""
READ_COMMAND_LINE = """
import sys
from service.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert end.code == 0, end.code
print("MODULES", *sys.modules)
"""
START_TWICE = """
import sys
from service.store import upgrade
upgrade(sys.argv[1])
print(*sys.modules)
"""


def imported(program: str, *words: str) -> frozenset[str]:
    """The large libraries that a Python process has once the program is over."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True, timeout=120
    )
    return LARGE & set(done.stdout.split())


@pytest.fixture(scope="module")
def settings_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of a node whose database has its tables."""
    folder = tmp_path_factory.mktemp("node")
    file = folder / "settings.toml"
    file.write_text(SETTINGS.format(folder=folder))
    prepare(load_settings(file, {}))
    return file


@pytest.mark.parametrize("role", ROLES)
def test_a_role_that_has_run_has_imported_its_own_libraries_alone(role: str, settings_file: Path) -> None:
    assert imported(RUN_ROLE, role, str(settings_file)) <= MAY_IMPORT[role]


def test_the_role_work_is_seen_to_import_what_the_others_must_not(settings_file: Path) -> None:
    """The test above can fail: the names of the libraries are those that they have in a process."""
    assert imported(RUN_ROLE, "work", str(settings_file)) >= {"highdicom", "scipy", "tritonclient"}


@pytest.mark.parametrize(
    "words",
    [["--help"], ["template", "--help"], ["validate", "--help"], ["pull", "--help"], ["evaluate", "--help"]],
)
def test_help_imports_none_of_them(words: list[str]) -> None:
    assert imported(READ_COMMAND_LINE, *words) == set()


def test_a_database_that_is_up_to_date_needs_no_migrations(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/node.db"
    assert imported(START_TWICE, url) == {"alembic", "sqlalchemy"}
    assert imported(START_TWICE, url) == {"sqlalchemy"}


def test_every_verb_is_found_under_its_name() -> None:
    (verbs,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert verbs.choices.keys() >= {"serve", "validate", *ROLES}
    for verb in verbs.choices.values():
        assert callable(resolve_name(f"service.cli.{verb.get_default('command')}"))


@pytest.mark.parametrize(("old", "new"), RENAMED_COMMANDS.items())
def test_a_command_that_has_another_name_now_names_it(
    old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([old, "--help"]) == 2
    assert capsys.readouterr().err == f"contour-node: the command {old} is now called {new}\n"
    with pytest.raises(SystemExit) as end:
        main([new, "--help"])
    assert end.value.code == 0


def _options(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """Each command and act of the program with its options."""
    yield " ".join(words), sorted(option for action in parser._actions for option in action.option_strings)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _options(inner, (*words, name))


def test_every_option_is_in_the_documentation_and_the_other_way_round() -> None:
    own = {
        words: [option for option in options if option not in {"-h", "--help", "--settings"}]
        for words, options in _options(_parser())
    }
    lines = (
        (ROOT / "docs" / "commands.md").read_text(encoding="utf-8").partition("## Options\n")[2].splitlines()
    )
    assert [line for line in lines if line.startswith("| `")] == [
        f"| `{words}` | {' '.join(f'`{option}`' for option in options)} |"
        for words, options in sorted(own.items())
        if options
    ]


def test_every_command_takes_the_settings_except_those_that_work_on_files() -> None:
    without = {
        words.split()[0] for words, options in _options(_parser()) if words and "--settings" not in options
    }
    with_them = {words.split()[0] for words, options in _options(_parser()) if "--settings" in options}
    assert without - with_them == {"evaluate", "init", "train", "validate"}
