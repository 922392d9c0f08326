"""The committed assets are what web/ makes: whoever changes one changes the other. Needs `make web-packages`."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WEB, STATIC = ROOT / "web", ROOT / "service/web/static"
VITE = WEB / "node_modules/.bin/vite"
NAMED = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
PACKAGES = [WEB / "node_modules" / name for name in (*NAMED["dependencies"], *NAMED["devDependencies"])]


@pytest.mark.skipif(
    shutil.which("node") is None or not all(package.exists() for package in PACKAGES),
    reason="Node.js or its packages are not installed: make web-packages",
)
def test_the_committed_assets_are_those_that_the_sources_make(tmp_path: Path) -> None:
    built = tmp_path / "static"
    subprocess.run(
        [VITE, "build", "--outDir", built, "--logLevel", "error"],
        cwd=WEB,
        check=True,
        timeout=120,
        capture_output=True,
    )
    made = {path.relative_to(built): path.read_bytes() for path in built.rglob("*") if path.is_file()}
    kept = {path.relative_to(STATIC): path.read_bytes() for path in STATIC.rglob("*") if path.is_file()}
    assert made.keys() == kept.keys()
    assert [path for path in made if made[path] != kept[path]] == []


def test_the_assets_load_nothing_from_elsewhere() -> None:
    """A clinic's network has no way out; the content policy of the page refuses it too."""
    for path in STATIC.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "sourceMappingURL" not in text, path.name
        assert "//cdn" not in text, path.name
        assert "innerHTML=" not in text.replace(" ", "") or path.name == "page.js", path.name  # htmx has it
