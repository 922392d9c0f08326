"""The verb train hands its arguments and its exit code on."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def contour_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)


def test_help_and_failures_are_those_of_training(tmp_path: Path) -> None:
    told = contour_node("train", "--help")
    assert told.returncode == 0
    assert "prepare" in told.stdout
    assert contour_node("train").returncode == 2
    absent = contour_node("train", "prepare", str(tmp_path / "absent"), "--out", str(tmp_path / "out"))
    assert absent.returncode == 1
    assert absent.stderr == f"contour-node train: {tmp_path / 'absent'}: no such folder\n"
    assert not list((tmp_path / "out").glob("*"))
