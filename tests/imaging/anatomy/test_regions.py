"""Which part of the body a CT shows: a patient of ellipses whose parts are known, and real CTs beside the project."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imaging.anatomy import Region, RegionEstimate, body_profile, estimate_regions
from imaging.ct.series import SourceFile, read_ct
from imaging.volumes.orientation import canonical
from imaging.volumes.volume import Volume
from tests.support.bodies import PARTS, part, upright_volume, whole_body

DATA = Path(__file__).parents[4] / "shared" / "data"


def estimated(volume: Volume) -> RegionEstimate:
    return estimate_regions(body_profile(volume))


@pytest.mark.parametrize("name", PARTS)
def test_a_part_alone_is_known(name: str) -> None:
    estimate = estimated(part(name))
    low, high = PARTS[name]
    assert estimate.length_mm(Region(name)) >= 0.7 * (high - low), estimate.words()
    assert not estimate.upside_down


def test_the_whole_patient_is_told_apart_at_the_right_heights() -> None:
    estimate = estimated(whole_body())
    for name, (low, high) in PARTS.items():
        assert estimate.length_mm(Region(name)) == pytest.approx(high - low, abs=60), estimate.words()


def test_head_neck_and_thorax_of_a_planning_ct() -> None:
    estimate = estimated(whole_body(1250, 1700))
    assert estimate.length_mm(Region.HEAD, Region.NECK) == pytest.approx(260, abs=40)
    assert estimate.length_mm(Region.LEGS, Region.PELVIS, Region.ABDOMEN) == 0


def test_a_patient_who_lies_feet_first_is_estimated_alike() -> None:
    upright = whole_body(1250, 1700)
    flipped = np.ascontiguousarray(upright.array_zyx[::-1, :, ::-1])
    depth, _, width = upright.grid.shape_zyx
    dz, _, dx = upright.grid.spacing_zyx_mm
    grid = replace(
        upright.grid,
        origin_lps=((width - 1) * dx, 0.0, (depth - 1) * dz),
        axes_lps=((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)),
    )
    stored = Volume(array_zyx=flipped, grid=grid)
    assert estimated(canonical(stored)) == estimated(upright)


def test_a_head_at_the_lower_end_of_a_trunk_is_upside_down() -> None:
    upright = whole_body(1250, 1700)
    estimate = estimated(upright_volume(upright.array_zyx[::-1]))
    assert estimate.upside_down
    assert estimate.length_mm(Region.HEAD, Region.NECK) == pytest.approx(260, abs=40)


def test_one_odd_slab_decides_nothing() -> None:
    volume = whole_body(1250, 1700)
    array = volume.array_zyx.copy()
    array[40] = whole_body(100, 105).array_zyx[0]  # a slice of the legs
    assert Region.LEGS not in estimated(upright_volume(array)).by_slab


def test_a_limb_without_airway_and_brain_is_no_neck() -> None:
    array = np.full((40, 60, 60), -1000, np.int16)
    array[:, 12:42, 12:42] = 40
    array[:, 22:32, 22:32] = 800
    array[:, 24:30, 24:30] = 40
    estimate = estimated(upright_volume(array))
    assert estimate.length_mm(Region.HEAD, Region.NECK) == 0


def test_no_body_has_no_region() -> None:
    estimate = estimated(upright_volume(np.full((5, 20, 20), -1000, np.int16)))
    assert set(estimate.by_slab) == {None}
    assert estimate.words() == "no body"


@pytest.mark.shared_data
@pytest.mark.skipif(not DATA.is_dir(), reason="the patients beside the project (../shared/data) are absent")
def test_real_head_and_neck_cts_show_head_and_neck_and_limbs_and_a_chest_do_not(tmp_path: Path) -> None:
    for archive in ("mim-sarcoma-16.tar.xz", "pinnacle-lung-4d.tar.xz"):
        shutil.unpack_archive(DATA / "dicom" / archive, tmp_path)
    series = {file.parent for file in tmp_path.rglob("*.dcm") if len(list(file.parent.glob("*.dcm"))) > 20}
    assert len(series) == 17
    for folder in series:
        estimate = estimated(canonical(read_ct(sources(folder)).volume))
        assert estimate.length_mm(Region.HEAD, Region.NECK) == 0, folder
    for name in ("KBP001", "KBP002", "KBP003"):
        files = sources(DATA / "dicom" / "openkbp" / name, "CT*")
        estimate = estimated(canonical(read_ct(files).volume))
        assert estimate.length_mm(Region.HEAD, Region.NECK) > 150, name


def sources(folder: Path, pattern: str = "*.dcm") -> list[SourceFile]:
    return [SourceFile(name=p.name, data=p.read_bytes()) for p in sorted(folder.glob(pattern))]
