"""The wheel is enough.

Installed elsewhere, from any directory, it makes settings and runs the node with its own models.
"""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.triton import ENVIRONMENT, REPOSITORY

CARRIED = ("model_repository", "deploy")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built from a copy of what git knows, so that nothing else gets in."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("the tree is no git checkout: what belongs into the wheel is not known")
    source = folder / "source"
    for name in filter(None, listed.stdout.split("\0")):
        if not name.startswith(("tests/", "docs/")) and (REPOSITORY / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        str(folder),
    ]
    ran = subprocess.run([*build, str(source)], capture_output=True, text=True, check=False)
    if "setuptools.build_meta" in ran.stderr and ran.returncode:
        pytest.skip("setuptools, which builds the wheel, is not installed")
    assert ran.returncode == 0, ran.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_every_model_and_every_file_of_deploy_is_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    expected = subprocess.run(
        ["git", "ls-files", "-z", *CARRIED], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert {f"service/shipped/{name}" for name in filter(None, expected)} <= inside


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`contour-node` in an environment of its own, with the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "bin" / "python"),
        "install",
        "--no-index",
    ]
    subprocess.run([*install, "--no-deps", "-q", str(wheel)], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python3.*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n")
    return folder / "bin" / "contour-node"


def run(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments], cwd=folder, capture_output=True, text=True, timeout=280, check=False
    )


def test_it_runs_from_any_directory_on_its_own_models(program: Path, tmp_path: Path) -> None:
    made = run(program, tmp_path, "init", "--into", "node", "--tps", "TPS@127.0.0.1:104")
    assert made.returncode == 0, made.stderr
    shown = run(program, tmp_path, "models", "--settings", "node/settings.toml", "list")
    assert "hn_oar" in shown.stdout, shown.stderr
    missing = run(program, tmp_path, "triton", "--settings", "node/settings.toml")
    assert missing.returncode == 1
    assert f"{program.parent.parent}/share/contour-node/triton" in missing.stderr
    assert "contour-node setup" in missing.stderr


@pytest.mark.triton
@pytest.mark.network
@pytest.mark.timeout(600)
def test_the_demo_runs_from_it(program: Path, tmp_path: Path) -> None:
    if not (ENVIRONMENT / ".installed").exists():
        pytest.skip(f"{ENVIRONMENT} is missing: make triton")
    place = program.parent.parent / "share" / "contour-node" / "triton"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(ENVIRONMENT.resolve())
    setup = run(program, tmp_path, "setup")
    assert setup.returncode == 0, setup.stderr
    assert "returns a known tensor unchanged" in setup.stdout
    demo = run(program, tmp_path, "demo")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert (tmp_path / "demo").is_dir()
