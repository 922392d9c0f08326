"""The driver of small mistakes: what it draws, what it keeps, and whether its warm runs see a mistake."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from reliability.code_mutations import draw, mutations
from reliability.test_contexts import NOTHING, Checksums, TestContexts

SOURCE = b'''"""Text."""


def price(count: int) -> int:
    """Return the price; from 3 on one is free."""
    if not count >= 3 and count:
        return count * 2
    raise ValueError("none")
'''


def test_every_kind_of_mistake_is_made_and_texts_are_left_alone() -> None:
    found = {(one.kind, one.before, one.after, one.line) for one in mutations("price.py", SOURCE)}
    assert found == {
        ("not", "not", "", 6),
        ("and/or", "and", "or", 6),
        ("boundary", ">=", ">", 6),
        ("constant", "3", "4", 6),
        ("constant", "2", "3", 7),
        ("arithmetic", "*", "/", 7),
        ("dropped raise", 'raise ValueError("none")', "pass", 8),
    }
    assert all(one.applied(SOURCE) != SOURCE for one in mutations("price.py", SOURCE))


def test_a_seed_draws_the_same_again(tmp_path: Path) -> None:
    (tmp_path / "price.py").write_bytes(SOURCE)
    first, again = (draw(tmp_path, ["price.py"], 5, seed=4) for _ in range(2))
    assert first == again
    assert len(first) == 5
    assert len(draw(tmp_path, ["price.py"], 99, seed=4)) == 7


CONTEXTS = TestContexts(
    by_line={
        "price.py": {1: frozenset(), 6: frozenset({"t.py::slow", "t.py::quick", "t.py::bad"})},
        "old.py": {1: frozenset(), 2: frozenset({"u.py::other"})},
    },
    seconds={"t.py::slow": 2.0, "t.py::quick": 0.1, "t.py::bad": 0.0, "u.py::other": 1.0},
    failing=frozenset({"t.py::bad"}),
)


def test_the_quickest_tests_of_a_line_come_first_and_failing_ones_never() -> None:
    assert CONTEXTS.tests_of("price.py", 6) == ["t.py::quick", "t.py::slow"]
    assert CONTEXTS.tests_of("price.py", 1) == CONTEXTS.tests_of("price.py", 6), "a line that runs at import"
    assert CONTEXTS.tests_of("price.py", 7) == CONTEXTS.tests_of("other.py", 1) == []


def test_contexts_are_kept_for_the_code_and_the_test_files_that_are_the_same(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "contexts.json"
    marks = Checksums(code="code", test_files={"t.py": "1", "u.py": "1"})
    CONTEXTS.save(file, marks)
    assert TestContexts.loaded(file, marks) == (CONTEXTS, {"t.py", "u.py"})
    assert TestContexts.loaded(file, replace(marks, code="other code")) == (NOTHING, frozenset())
    changed = replace(marks, test_files={"t.py": "2", "u.py": "1", "v.py": "1"})
    kept, same = TestContexts.loaded(file, changed)
    assert same == {"u.py"}
    assert kept.by_line["old.py"] == CONTEXTS.by_line["old.py"]
    assert kept.by_line["price.py"] == {1: frozenset()}, "no test is left that runs line 6"
    assert (kept.seconds, kept.failing) == ({"u.py::other": 1.0}, frozenset())
    again = kept.joined(CONTEXTS.only({"t.py"}))
    assert again == CONTEXTS


def test_a_test_file_counts_with_all_that_it_imports_below_tests(tmp_path: Path) -> None:
    texts = {
        "pyproject.toml": "",
        "shop/price.py": "PRICE = 1",
        "reliability/mutants.py": "",
        "tests/conftest.py": "pytest_plugins = ['tests.plugin']",
        "tests/plugin.py": "",
        "tests/support/till.py": "from tests.support.coins import COIN",
        "tests/support/coins.py": "",
        "tests/shop/conftest.py": "",
        "tests/shop/test_price.py": "from tests.support.till import COIN",
        "tests/shop/test_name.py": "import shop.price",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def changed(name: str, tests: str = "tests") -> set[str]:
        before = Checksums.of(tmp_path, ["shop"], ["tests"])
        (tmp_path / name).write_text(texts[name] + "  # changed")
        after = Checksums.of(tmp_path, ["shop"], [tests])
        (tmp_path / name).write_text(texts[name])
        other = {one for one, mark in after.test_files.items() if before.test_files[one] != mark}
        return other | ({"code"} if before.code != after.code else set())

    both = {"tests/shop/test_price.py", "tests/shop/test_name.py"}
    assert (
        changed("tests/support/coins.py") == changed("tests/support/till.py") == {"tests/shop/test_price.py"}
    )
    assert changed("tests/shop/test_name.py") == {"tests/shop/test_name.py"}
    assert (
        changed("tests/plugin.py")
        == changed("tests/conftest.py")
        == changed("tests/shop/conftest.py")
        == both
    )
    assert changed("shop/price.py") == changed("pyproject.toml") == {"code"}
    assert changed("reliability/mutants.py") == set(), "the driver changes no test"
    assert (
        Checksums.of(tmp_path, ["shop", "till"], ["tests"]).code
        != Checksums.of(tmp_path, ["shop"], ["tests"]).code
    )


def test_a_mistake_in_a_checkout_is_noticed_and_nothing_is_left(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(
        Path(__file__).parents[2] / "reliability",
        root / "reliability",
        ignore=shutil.ignore_patterns("*.pyc"),
    )
    (root / "shop").mkdir()
    (root / "shop" / "price.py").write_bytes(SOURCE)
    (root / "tests").mkdir()
    (root / "tests" / "test_price.py").write_text(
        "from shop.price import price\n\n\ndef test_price():\n    assert price(2) == 4\n"
    )
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    (root / ".gitignore").write_text("__pycache__\n.coverage*\n")
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=n@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"]):
        subprocess.run([*git, *command], check=True)
    kept = ["--contexts", str(tmp_path / "contexts.json")]
    options = ["--package", "shop", "--tests", "tests", "--jobs", "1", *kept, "--number"]
    said = ran(root, *options, "3")
    assert "1 of 1 test files run to see which lines they run" in said
    assert "seed 1: 3 changes, 1 noticed (33 %), 0 run by no test" in said
    (root / "tests" / "test_one.py").write_text(
        "from shop.price import price\n\n\ndef test_one():\n    assert price(1) == 2\n"
    )
    said = ran(root, *options, "0")
    assert "1 of 2 test files run to see which lines they run" in said
    assert sorted(one.name for one in tmp_path.iterdir()) == ["checkout", "contexts.json"]


def ran(root: Path, *options: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-m", "reliability.mutants", *options],
        cwd=root,
        env={name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout.splitlines()
