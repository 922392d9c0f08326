"""The driver of small mistakes: what it draws, what it keeps, and whether its warm runs see a mistake."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from reliability.code_mutations import draw, mutations
from reliability.test_contexts import TestContexts

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


def test_contexts_are_kept_for_their_own_tree_alone(tmp_path: Path) -> None:
    contexts = TestContexts(
        by_line={"price.py": {1: frozenset(), 6: frozenset({"t.py::slow", "t.py::quick", "t.py::bad"})}},
        seconds={"t.py::slow": 2.0, "t.py::quick": 0.1, "t.py::bad": 0.0, "t.py::elsewhere": 1.0},
        failing=frozenset({"t.py::bad"}),
    )
    contexts.save(tmp_path / "kept" / "contexts.json", "a tree")
    kept = TestContexts.loaded(tmp_path / "kept" / "contexts.json", "a tree")
    assert kept == contexts
    assert TestContexts.loaded(tmp_path / "kept" / "contexts.json", "another") is None
    assert contexts.tests_of("price.py", 6) == ["t.py::quick", "t.py::slow"]
    assert contexts.tests_of("price.py", 1) == contexts.tests_of("price.py", 6), "a line that runs at import"
    assert contexts.tests_of("price.py", 7) == contexts.tests_of("other.py", 1) == []


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
    options = ["--package", "shop", "--tests", "tests", "--jobs", "1", "--number", "3"]
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
    lines = run.stdout.splitlines()
    assert "seed 1: 3 changes, 1 noticed (33 %), 0 run by no test" in lines, run.stdout
    assert sorted(one.name for one in tmp_path.iterdir()) == ["checkout"]
