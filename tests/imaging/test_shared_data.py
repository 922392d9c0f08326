"""The imaging room on real patients and awkward files that lie beside the project."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom import dcmread

from imaging.ct.pixels import pixel_format, read_hu
from imaging.ct.raw_slice import read_raw
from imaging.ct.series import ImageSeries, SourceFile, read_ct
from imaging.dicom.elements import MalformedStream, elements, open_stream
from imaging.errors import ImageRefused, RefusalCode
from imaging.rtstruct.writing import masks_on_grid, read_structure_set, write_structure_set
from tests.imaging.structure_sets import request

DATA = Path(__file__).parents[3] / "shared" / "data"
COMPRESSED = DATA / "awkward" / "compressed-ct"

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="the patients beside the project (../shared/data) are absent"
    ),
]


def unpacked(archive: str, folder: Path) -> Path:
    shutil.unpack_archive(DATA / "dicom" / archive, folder)
    return folder


def sources(folder: Path, pattern: str = "*") -> list[SourceFile]:
    return [SourceFile(name=p.name, data=p.read_bytes()) for p in sorted(folder.glob(pattern)) if p.is_file()]


def hu(file: Path) -> NDArray[np.int16]:
    raw = read_raw(file.read_bytes(), file.name)
    layout = pixel_format(raw)
    out = np.empty((layout.rows, layout.columns), np.int16)
    read_hu(raw, out)
    return out


@pytest.mark.parametrize(
    ("one", "twin", "within_hu"),
    [
        ("CT1_JPLL", "CT1_RLE", 0),
        ("CT1_JLSL", "CT1_RLE", 0),
        ("CT1_J2KR", "CT1_RLE", 0),
        ("D_CLUNIE_CT1_RLE_FRAGS.dcm", "CT1_RLE", 0),
        ("GH177_D_CLUNIE_CT1_IVRLE_BigEndian_ELE_undefinded_length.dcm", "CT1_RLE", 0),
        ("CT2_JPLL", "CT2_RLE", 0),
        ("CT2_JLSL", "CT2_RLE", 0),
        ("CT2_J2KR", "CT2_RLE", 0),
        ("CT2_JLSN", "CT2_RLE", 4),
        ("693_J2KR.dcm", "693_UNCR.dcm", 0),
        ("693_J2KI.dcm", "693_UNCI.dcm", 0),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_compressed_slices_equal_their_twins(one: str, twin: str, within_hu: int) -> None:
    difference = hu(COMPRESSED / one).astype(int) - hu(COMPRESSED / twin)
    assert np.abs(difference).max() <= within_hu


@pytest.mark.filterwarnings("ignore")
def test_every_awkward_file_has_the_tags_that_pydicom_finds() -> None:
    for file in sorted((DATA / "awkward").rglob("*")):
        if not file.is_file() or file.name in ("meta_missing_tsyntax.dcm", "no_meta.dcm"):
            continue  # no datasets: nothing but meta information
        stream = open_stream(file.read_bytes())
        found = {e.tag for e in elements(stream.data, stream.start, len(stream.data), stream.encoding)}
        assert found == set(map(int, dcmread(file, force=True).keys())), file.name


@pytest.mark.filterwarnings("ignore")
def test_every_awkward_file_is_read_or_refused() -> None:
    for file in sorted((DATA / "awkward").rglob("*")):
        if file.is_file():
            with pytest.raises(ImageRefused):
                read_ct([SourceFile(name=file.name, data=file.read_bytes())])


def test_bytes_without_a_dataset_are_told_apart() -> None:
    for name in ("meta_missing_tsyntax.dcm", "no_meta.dcm"):
        with pytest.raises(MalformedStream):
            open_stream((DATA / "awkward" / "pydicom-oddities" / name).read_bytes())


def test_tilted_irregular_and_foreign_series_are_refused(tmp_path: Path) -> None:
    folder = unpacked("tilted-and-irregular.tar.xz", tmp_path)
    philips = folder / "Philips" / "S21610"
    for source, pattern, code in (
        (folder / "GE", "*.dcm", RefusalCode.GANTRY_TILT),
        (philips / "S1000", "I*", RefusalCode.LOCALIZER),
        (philips / "S2010", "I*", RefusalCode.GANTRY_TILT),
        (philips / "S3010", "I*", RefusalCode.GANTRY_TILT),
        (philips / "S4010", "I*", RefusalCode.NOT_CT),
    ):
        with pytest.raises(ImageRefused) as refusal:
            read_ct(sources(source, pattern))
        assert refusal.value.code is code


def test_sarcoma_contours_fill_the_voxels_that_another_reader_filled(tmp_path: Path) -> None:
    folder = unpacked("mim-sarcoma-16.tar.xz", tmp_path)
    patients = sorted((folder / "dicom").iterdir())
    assert len(patients) == 16
    for patient in patients:
        series = read_ct(sources(patient / "CT" / "image"))
        structure_set = read_structure_set((patient / "CT" / "mask" / "RS.dcm").read_bytes())
        (mask,) = masks_on_grid(structure_set, series).by_number.values()
        other = sitk.GetArrayFromImage(sitk.ReadImage(folder / "nifti" / patient.name / "CT_mask.nii.gz"))
        assert np.array_equal(mask.full(series.volume.grid.shape_zyx), other > 0), patient.name


def through_a_file_of_ours(series: ImageSeries, structure_set: bytes) -> None:
    read = masks_on_grid(read_structure_set(structure_set), series.volume.grid)
    for mask in read.by_number.values():
        if mask.voxels():
            full = mask.full(series.volume.grid.shape_zyx)
            again = read_structure_set(write_structure_set(request(series, {"Larynx": full})))
            back = masks_on_grid(again, series).by_number[1]
            assert np.array_equal(back.full(full.shape), full)


def test_eclipse_structures_go_through_a_file_of_ours_unchanged(tmp_path: Path) -> None:
    (folder,) = unpacked("eclipse-head-phantom.tar.xz", tmp_path).glob("DCPT*")
    (file,) = folder.glob("RS*")
    structure_set = read_structure_set(file.read_bytes())
    assert len(structure_set.rois) == 11
    assert structure_set.rois[0].name == "BODY"
    through_a_file_of_ours(read_ct(sources(folder, "CT*")), file.read_bytes())


def test_pinnacle_structures_go_through_a_file_of_ours_unchanged(tmp_path: Path) -> None:
    folder = unpacked("pinnacle-lung-4d.tar.xz", tmp_path)
    (file,) = (f for f in folder.rglob("*.dcm") if f.stat().st_size > 0 and f.name == "1-1.dcm")
    (images,) = {f.parent for f in folder.rglob("1-01.dcm")}
    assert [roi.number for roi in read_structure_set(file.read_bytes()).rois] == [17, 18, 19, 20]
    through_a_file_of_ours(read_ct(sources(images)), file.read_bytes())
