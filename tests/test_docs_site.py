"""The documentation as a site: it builds without a warning, and each kind of fault is an error."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ICON = "service/web/static/icon.svg"
SCRIPT = ROOT / "docs/site.py"
MENU = "site_name: Trial\ndocs_dir: build/pages\nsite_dir: build/site\nnav:\n  - README.md\n  - docs/decisions/index.md\n"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("zensical") is None, reason="zensical is not installed: make dev"
)


def build(root: Path) -> "subprocess.CompletedProcess[str]":
    order = [sys.executable, SCRIPT, "--root", root]
    return subprocess.run(order, check=False, capture_output=True, text=True)


def repository(root: Path, readme: str, **decisions: str) -> Path:
    (root / "docs/decisions").mkdir(parents=True)
    (root / ICON).parent.mkdir(parents=True)
    (root / ICON).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (root / "mkdocs.yml").write_text(MENU)
    (root / "README.md").write_text(readme)
    for number, text in decisions.items():
        (root / f"docs/decisions/{number}.md").write_text(text)
    return root


def copy_of_the_repository(to: Path) -> Path:
    """What the site is built from; the site of the checkout itself is left alone."""
    shutil.copytree(ROOT / "docs", to / "docs")
    for pattern in (
        "*.md",
        "mkdocs.yml",
        "[!.n]*/README.md",
        "model_repository/*/README.md",
        "deploy/*.toml",
        ICON,
    ):
        for path in ROOT.glob(pattern):
            copy = to / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return to


def test_it_builds_without_a_warning_and_asks_for_nothing_from_elsewhere(tmp_path: Path) -> None:
    done = build(copy_of_the_repository(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list((tmp_path / "build/site").rglob("*.html"))
    assert len(pages) > 60
    fetched = re.compile(r"<(?:link|script|img)[^>]+(?:href|src)=\"?(https?:[^\s\">]+)")
    abroad = {url for page in pages for url in fetched.findall(page.read_text(encoding="utf-8"))}
    assert abroad == set()
    index = (tmp_path / "build/site/docs/decisions/index.html").read_text(encoding="utf-8")
    for decision in (ROOT / "docs/decisions").glob("0*.md"):
        assert f"{decision.stem}.html" in index


@pytest.mark.parametrize(
    ("readme", "said"),
    [
        ("# A\n\n[gone](docs/gone.md)\n", "docs/gone.md"),
        ("# A\n\n[lost](docs/decisions/0001.md#nowhere)\n", "nowhere"),
    ],
    ids=["page", "heading"],
)
def test_a_broken_link_is_an_error(tmp_path: Path, readme: str, said: str) -> None:
    done = build(repository(tmp_path, readme, **{"0001": "# 0001 One\n\n[back](../../README.md)\n"}))
    assert done.returncode == 1
    assert said in done.stderr


def test_a_page_in_no_menu_and_one_that_is_not_there_are_errors(tmp_path: Path) -> None:
    repository(tmp_path, "# A\n")
    (tmp_path / "docs/lost.md").write_text("# Lost\n")
    (tmp_path / "mkdocs.yml").write_text(MENU + "  - docs/gone.md\n")
    done = build(tmp_path)
    assert done.returncode == 1
    assert "docs/lost.md: stands in no menu" in done.stderr
    assert "docs/gone.md: stands in the menu" in done.stderr
