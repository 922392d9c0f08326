"""Every RT Structure Set beside the project through a file of ours, for every profile, and its volumes compared."""

import dataclasses
import lzma
import re
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from imaging.ct.series import SourceFile, read_ct
from imaging.dicom.elements import MalformedStream
from imaging.export.masks import RoiMask, export
from imaging.export.profiles import PROFILES
from imaging.rtstruct.stated_volume import compare_volume
from imaging.rtstruct.writing import masks_on_grid, read_structure_set, write_structure_set
from imaging.structures import CATALOGUE
from imaging.validation import Severity, validate
from imaging.validation.findings import FindingLog
from imaging.validation.modules import is_structure_set
from imaging.validation.tree import read_document
from imaging.validation.volumes import differing_voxels
from imaging.volumes.grid import Grid
from tests.imaging.structure_sets import request

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="the patients beside the project (../shared/data) are absent"
    ),
]
SARCOMAS = tuple(f"STS_{n:03}" for n in (1, 3, 4, 8, 10, 12, 17, 18, 20, 23, 27, 29, 32, 33, 38, 42))
WITH_CT = {
    **{f"KBP00{k}": ("openkbp", rf"KBP00{k}/RS\.dcm$", rf"KBP00{k}/CT\..*\.dcm$") for k in (1, 2, 3)},
    "Eclipse": ("eclipse-head-phantom", r"/RS\.[^/]*\.dcm$", r"/CT[^/]*$"),
    "Pinnacle": ("pinnacle-lung-4d", r"-47\.35/1-1\.dcm$", r"/1-\d\d\.dcm$"),
    **{n: ("mim-sarcoma-16", rf"/{n}/CT/mask/RS\.dcm$", rf"/{n}/CT/image/[^/]*$") for n in SARCOMAS},
}
ROIS = {"KBP001": 9, "KBP002": 9, "KBP003": 8, "Eclipse": 11, "Pinnacle": 4, **dict.fromkeys(SARCOMAS, 1)}
ALONE = DATA / "awkward" / "pydicom-oddities" / "rtstruct.dcm"


@cache
def archived(name: str) -> dict[str, bytes]:
    """Every file of an archive, or of a folder, by its path."""
    archive = DATA / "dicom" / f"{name}.tar.xz"
    if not archive.is_file():
        folder = DATA / "dicom" / name
        return {str(f.relative_to(folder.parent)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    with lzma.open(archive) as stream, tarfile.open(fileobj=stream) as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
        return {path: handle.read() for path, handle in files if handle}


def matching(source: str, pattern: str) -> list[bytes]:
    return [data for path, data in sorted(archived(source).items()) if re.search(pattern, "/" + path)]


def is_rtstruct(data: bytes) -> bool:
    try:
        return is_structure_set(read_document(data, FindingLog()))
    except MalformedStream:
        return False


def everything() -> Iterator[bytes]:
    for archive in sorted((DATA / "dicom").glob("*.tar.xz")):
        yield from archived(archive.name.removesuffix(".tar.xz")).values()
    yield from archived("openkbp").values()
    yield from (file.read_bytes() for file in (DATA / "awkward").rglob("*") if file.is_file())


def test_no_structure_set_is_forgotten() -> None:
    tested = {data for source, pattern, _ in WITH_CT.values() for data in matching(source, pattern)}
    assert {data for data in everything() if is_rtstruct(data)} == tested | {ALONE.read_bytes()}
    assert len(tested) == len(WITH_CT) == 21


@pytest.mark.parametrize("name", WITH_CT)
def test_it_goes_through_a_file_of_ours_unchanged_for_every_profile(name: str) -> None:
    source, pattern, images = WITH_CT[name]
    series = read_ct([SourceFile(name=str(k), data=d) for k, d in enumerate(matching(source, images))])
    (file,) = matching(source, pattern)
    grid = series.volume.grid
    read = read_structure_set(file)
    masks = masks_on_grid(read, grid).by_number
    rois = [
        RoiMask(structure=CATALOGUE["Larynx"], name=roi.name, mask=masks[roi.number]) for roi in read.rois
    ]
    assert len(rois) == ROIS[name]
    assert all(roi.mask.voxels() for roi in rois)
    for profile in PROFILES.values():
        exported = export(request(series), rois, profile)
        written = write_structure_set(exported.request)
        errors = [
            f for f in validate(written, profile, exported.masks, series) if f.severity is Severity.ERROR
        ]
        assert errors == []
        back = masks_on_grid(read_structure_set(written), series).by_number
        assert [differing_voxels(roi.mask, back[k]) for k, roi in enumerate(rois, 1)] == [0] * len(rois)


@pytest.mark.parametrize("name", WITH_CT)
def test_none_states_a_volume_and_the_voxels_are_near_what_the_contours_enclose(name: str) -> None:
    """Pinnacle states 0 for each ROI, the others state nothing.

    So the voxels stand in for what a system would state.
    """
    source, pattern, images = WITH_CT[name]
    series = read_ct([SourceFile(name=str(k), data=d) for k, d in enumerate(matching(source, images))])
    (file,) = matching(source, pattern)
    grid, read = series.volume.grid, read_structure_set(file)
    assert not any(roi.volume_cm3 for roi in read.rois)
    masks = masks_on_grid(read, grid).by_number
    for roi in read.rois:
        voxels_cm3 = masks[roi.number].voxels() * grid.voxel_volume_mm3 / 1000
        compared = compare_volume(voxels_cm3, roi.contours, grid.spacing_zyx_mm[0])
        assert compared is not None
        coarse = name.startswith("KBP")  # pixels of 4 mm, contours that cut their corners
        assert compared.agrees or (coarse and voxels_cm3 < 1.12 * compared.most_cm3), roi.name


def test_the_one_file_without_its_ct_goes_through_on_a_grid_round_its_contours() -> None:
    read = read_structure_set(ALONE.read_bytes())
    grid = Grid(
        shape_zyx=(3, 160, 210),
        origin_lps=(-209.0, -159.0, -200.0),
        spacing_zyx_mm=(10.0, 2.0, 2.0),
        axes_lps=((0, 0, 1), (0, 1, 0), (1, 0, 0)),
    )
    found = masks_on_grid(read, grid)
    assert {number: mask.voxels() for number, mask in found.by_number.items()} == {
        1: 3 * 150 * 200,
        2: 0,
        3: 0,
    }
    (note,) = (note for note in found.notes if "states" in note)
    assert "49200.000 cm3" in note
    assert np.isclose(found.by_number[1].voxels() * grid.voxel_volume_mm3 / 1000, 3600)
    assert dataclasses.asdict(read.rois[0])["volume_cm3"] == 49200
