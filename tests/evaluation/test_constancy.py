from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.constancy import MASKS, Contoured, compare, freeze
from evaluation.errors import EvaluationRefused
from evaluation.fingerprint import differences, model_fingerprint, node_fingerprint
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume

SHAPE = (4, 10, 12)
GRID = Grid(
    shape_zyx=SHAPE,
    origin_lps=(0.0, 0.0, 0.0),
    spacing_zyx_mm=(3.0, 1.0, 1.0),
    axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)
HERE = {"model": "m version 1", "library numpy": "2.0"}


def mask(*extra: tuple[int, int, int]) -> Mask:
    full = np.zeros(SHAPE, bool)
    full[1:3, 2:6, 3:9] = True
    for voxel in extra:
        full[voxel] ^= True
    return Mask.from_full(full)


CASE = Contoured(
    case="case1",
    volume=Volume(array_zyx=np.zeros(SHAPE, np.int16), grid=GRID),
    masks={"Larynx": mask(), "Cord": Mask.empty()},
    mean_probability={"Larynx": 0.9, "Cord": 0.0},
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    freeze(tmp_path, CASE, HERE)
    return tmp_path


def test_the_same_again_is_constant(folder: Path) -> None:
    result = compare([(folder, CASE)], HERE)
    assert result.is_constant
    assert result.line == "1 frozen cases are contoured as before, voxel by voxel"


def test_one_changed_voxel_is_an_alarm_that_names_what_changed_beside(folder: Path) -> None:
    now = replace(CASE, masks={"Larynx": mask((0, 0, 0)), "Cord": Mask.empty()})
    result = compare([(folder, now)], {**HERE, "library numpy": "2.1"})
    assert not result.is_constant
    (change,) = result.changes
    assert (change.structure, change.changed_voxels, change.voxels, change.frozen_voxels) == (
        "Larynx",
        1,
        49,
        48,
    )
    assert change.dice == pytest.approx(2 * 48 / 97)
    assert result.line == (
        "1 voxels of 1 structures in 1 of 1 frozen cases changed: library numpy: was 2.0, is 2.1"
    )
    unexplained = compare([(folder, now)], HERE)
    assert unexplained.line.endswith("nothing known changed in model, node, libraries or machine")


def test_another_library_that_moves_nothing_is_told_and_no_alarm(folder: Path) -> None:
    result = compare([(folder, CASE)], {**HERE, "library numpy": "2.1"})
    assert result.is_constant
    assert "changed without an effect: library numpy: was 2.0, is 2.1" in result.line


def test_a_structure_that_appears_or_goes_is_a_change(folder: Path) -> None:
    appeared = replace(CASE, masks={**CASE.masks, "Cord": mask()})
    assert [c.changed_voxels for c in compare([(folder, appeared)], HERE).changes] == [48]
    gone = replace(CASE, masks={"Larynx": mask()})
    (change,) = compare([(folder, gone)], HERE).changes
    assert (change.structure, change.changed_voxels, change.dice) == ("Cord", 0, None)


def test_frozen_cases_that_cannot_be_trusted(folder: Path, tmp_path: Path) -> None:
    other = np.zeros(SHAPE, np.int16)
    other[0, 0, 0] = 1
    with pytest.raises(EvaluationRefused, match="the CT is not the one that was frozen"):
        compare([(folder, replace(CASE, volume=Volume(array_zyx=other, grid=GRID)))], HERE)
    data = (folder / MASKS).read_bytes()
    (folder / MASKS).write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    with pytest.raises(EvaluationRefused, match="not what was frozen"):
        compare([(folder, CASE)], HERE)
    (folder / MASKS).unlink()
    with pytest.raises(EvaluationRefused, match="cannot be read"):
        compare([(folder, CASE)], HERE)
    with pytest.raises(EvaluationRefused, match="nothing is frozen here"):
        compare([(tmp_path / "absent", CASE)], HERE)


def test_a_fingerprint_changes_with_a_byte_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1")
    before = {**model_fingerprint(tmp_path), **node_fingerprint()}
    (tmp_path / "weights").write_bytes(b"2")
    (changed,) = differences(before, {**model_fingerprint(tmp_path), **node_fingerprint()})
    assert changed.startswith("model files SHA-256: was ")
    assert len(before["node source SHA-256"]) == 64
