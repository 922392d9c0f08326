"""Builds the documentation as a site: `make docs`. Every warning is an error, and so is a page that the menu lacks.

The pages are copied as they lie in the repository, so that a link holds in both; only the list of decisions is made.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
BESIDE_DOCS = ("README.md", "CHANGELOG.md", "*/README.md", "model_repository/*/README.md", "deploy/*.toml")
"""What pages of docs/ link to, beside the pages of docs/."""
NOT_IN_MENU = ("docs/decisions/0",)
"""Pages that another page lists: decisions stand in their index."""


class Fault(Exception):
    """The site cannot be built as it is; the text says why."""


def gather(root: Path, pages: Path) -> list[str]:
    """Copy the pages of the repository and make the index of decisions; return their paths, sorted."""
    found = {path for pattern in BESIDE_DOCS for path in root.glob(pattern)}
    found |= {path for path in (root / "docs").rglob("*") if path.suffix in (".md", ".png", ".svg", ".css")}
    names = {path.relative_to(root).as_posix() for path in found if "node_modules" not in path.parts}
    for name in names:
        to = pages / name
        to.parent.mkdir(parents=True, exist_ok=True)
        text = (root / name).read_bytes()
        # A folder is a page of the repository's browser, and of the site its index.
        to.write_bytes(text.replace(b"](docs/decisions)", b"](docs/decisions/index.md)"))
    shutil.copy(root / "service/web/static/icon.svg", pages / "icon.svg")
    index = pages / "docs/decisions/index.md"
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text(decisions(root / "docs/decisions"), encoding="utf-8")
    return sorted(name for name in (*names, "docs/decisions/index.md") if name.endswith(".md"))


def decisions(folder: Path) -> str:
    """Return the index of the decisions: number and title of each, as their first lines say them."""
    lines = ["# Decisions", "", "Why things are as they are, by number: that is roughly by time.", ""]
    for path in sorted(folder.glob("[0-9]*.md")):
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{re.sub('^([0-9]+):', lambda found: found[1], title)}]({path.name})")
    return "\n".join(lines) + "\n"


def menu_faults(settings: Path, pages: list[str]) -> list[str]:
    """Return what the menu lacks, and what it names that is not there."""
    named = set(_leaves(yaml.safe_load(settings.read_text(encoding="utf-8"))["nav"]))
    lacking = [page for page in pages if page not in named and not page.startswith(NOT_IN_MENU)]
    return [f"{page}: stands in no menu (nav in mkdocs.yml)" for page in lacking] + [
        f"{page}: stands in the menu (nav in mkdocs.yml), and there is no such page"
        for page in sorted(named - set(pages))
    ]


def _leaves(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    return [leaf for part in (entry.values() if isinstance(entry, dict) else entry) for leaf in _leaves(part)]


def build(root: Path) -> Path:
    """Build the site of a repository into its build/site; raises Fault with every reason why it cannot be."""
    pages = root / "build/pages"
    for folder in (pages, root / "build/site"):
        shutil.rmtree(folder, ignore_errors=True)
    faults = menu_faults(root / "mkdocs.yml", gather(root, pages))
    if faults:
        raise Fault("\n".join(faults))
    order = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    done = subprocess.run(order, cwd=root, check=False, capture_output=True, text=True)
    if done.returncode != 0 or "No issues found" not in done.stdout + done.stderr:
        raise Fault(re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr))
    return root / "build/site"


def main() -> int:
    """Build the site of this repository and say where it lies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    try:
        site = build(parser.parse_args().root)
    except Fault as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    sys.stdout.write(f"{site / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
