"""The regions by name, and the command that writes one."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from phantoms.head_neck import head_neck_grid
from phantoms.regions import REGIONS

SMALL = head_neck_grid(spacing_zyx_mm=(8.0, 8.0, 8.0), shape_zyx=(3, 30, 45), top_mm=40.0)


def test_seed_nought_is_the_middle_sized_patient_and_others_differ() -> None:
    make = REGIONS["head_neck"]
    middle, other, again = make(0, SMALL), make(9, SMALL), make(9, SMALL)
    assert middle.region == "head_neck"
    assert middle.seed == 0
    assert not np.array_equal(middle.volume.array_zyx, other.volume.array_zyx)
    assert np.array_equal(other.volume.array_zyx, again.volume.array_zyx)


def test_the_command_refuses_an_unknown_region(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "phantoms", "--out", str(tmp_path), "--region", "knee"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "head_neck" in found.stderr
