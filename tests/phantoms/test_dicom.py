"""Phantoms as CT series: the same patient in every position, and each flaw that is asked for."""

import io
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from imaging.ct.series import SourceFile, read_ct
from imaging.errors import ImageRefused, RefusalCode
from phantoms.dicom import CtExport, SliceOrder, ct_files, write_ct
from phantoms.dicom_modules import Identity
from phantoms.geometry import geometry_phantom, marked_solids, uneven_grid
from phantoms.positions import PatientPosition

PHANTOM = geometry_phantom(uneven_grid(), marked_solids())
VOLUME = PHANTOM.volume


def datasets(files: Sequence[SourceFile]) -> list[Dataset]:
    return [dcmread(io.BytesIO(file.data)) for file in files]


def hu_at(slices: list[Dataset], point_lps: np.ndarray) -> float:
    """HU at a patient point, read as a viewer would: only from the attributes of each image (PS3.3 C.7.6.2.1.1)."""
    for image in slices:
        along, down = np.reshape([float(v) for v in image.ImageOrientationPatient], (2, 3))
        offset = point_lps - np.array([float(v) for v in image.ImagePositionPatient])
        if abs(offset @ np.cross(along, down)) < 0.1:
            row = round(offset @ down / float(image.PixelSpacing[0]))
            column = round(offset @ along / float(image.PixelSpacing[1]))
            return float(image.pixel_array[row, column] * image.RescaleSlope + image.RescaleIntercept)
    raise AssertionError("no image at this point")


@pytest.mark.parametrize("position", list(PatientPosition))
def test_every_position_describes_the_same_patient(position: PatientPosition) -> None:
    slices = datasets(ct_files(VOLUME, CtExport(position=position)))
    assert {image.PatientPosition for image in slices} == {position}
    rng = np.random.default_rng(4)
    for index in rng.integers(0, VOLUME.grid.shape_zyx, (60, 3)):
        expected = VOLUME.array_zyx[tuple(index)]
        assert hu_at(slices, VOLUME.grid.points_lps(index)) == expected


@pytest.mark.parametrize("position", list(PatientPosition))
def test_down_the_image_is_where_the_patient_lies(position: PatientPosition) -> None:
    image = datasets(ct_files(VOLUME, CtExport(position=position)))[0]
    along, down = np.reshape([float(v) for v in image.ImageOrientationPatient], (2, 3))
    lies_on = {"S": (0, 1, 0), "P": (0, -1, 0), "DL": (1, 0, 0), "DR": (-1, 0, 0)}[position[2:]]
    assert tuple(down) == lies_on
    assert np.cross(along, down)[2] == (1 if position.startswith("HF") else -1)


@pytest.mark.parametrize("order", list(SliceOrder))
@pytest.mark.parametrize("signed", [True, False])
def test_a_reader_gets_the_volume_back(order: SliceOrder, signed: bool) -> None:
    series = read_ct(ct_files(VOLUME, CtExport(order=order, signed=signed, rescale_per_slice=not signed)))
    assert np.array_equal(series.volume.array_zyx, VOLUME.array_zyx)
    assert series.volume.grid == VOLUME.grid


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_transfer_syntaxes_keep_the_pixels(syntax: str) -> None:
    files = ct_files(VOLUME, CtExport(transfer_syntax_uid=syntax))
    assert {image.file_meta.TransferSyntaxUID for image in datasets(files)} == {syntax}
    assert np.array_equal(read_ct(files).volume.array_zyx, VOLUME.array_zyx)


def test_files_come_in_the_order_that_was_asked_for() -> None:
    def heights(order: SliceOrder) -> list[float]:
        return [float(d.ImagePositionPatient[2]) for d in datasets(ct_files(VOLUME, CtExport(order=order)))]

    rising = heights(SliceOrder.ASCENDING)
    assert rising == sorted(rising)
    assert heights(SliceOrder.DESCENDING) == rising[::-1]
    assert heights(SliceOrder.SHUFFLED) not in (rising, rising[::-1])


@pytest.mark.parametrize(
    ("flaw", "code"),
    [
        (CtExport(dropped=(5,)), RefusalCode.MISSING_SLICES),
        (CtExport(duplicated=(3,)), RefusalCode.DUPLICATE_SLICES),
        (CtExport(moved=((7, 1.2),)), RefusalCode.VARIABLE_SPACING),
        (CtExport(gantry_tilt_deg=12), RefusalCode.GANTRY_TILT),
    ],
)
def test_flaws_are_what_a_reader_refuses(flaw: CtExport, code: RefusalCode) -> None:
    with pytest.raises(ImageRefused) as refusal:
        read_ct(ct_files(VOLUME, flaw))
    assert refusal.value.code is code


def test_a_localizer_beside_the_slices_is_set_aside_by_a_reader() -> None:
    read = read_ct(ct_files(VOLUME, CtExport(localizer=True)))
    assert (len(read.slices), len(read.set_aside)) == (len(VOLUME.array_zyx), 1)


def test_dropped_and_duplicated_slices_change_the_count() -> None:
    count = len(VOLUME.array_zyx)
    assert len(ct_files(VOLUME, CtExport(dropped=(2, 3)))) == count - 2
    twins = datasets(ct_files(VOLUME, CtExport(duplicated=(2,))))
    assert len(twins) == count + 1 == len({image.SOPInstanceUID for image in twins})


@pytest.mark.parametrize("position", [PatientPosition.HFS, PatientPosition.FFDR])
def test_tilted_planes_show_what_lies_in_them(position: PatientPosition) -> None:
    """A plane z = 0.2 y: the same point of a smooth patient reads the same from straight and tilted images."""
    z, y, x = np.indices(VOLUME.grid.shape_zyx)
    ramp = replace(VOLUME, array_zyx=(40 * z + 3 * y - 5 * x).astype(np.int16))
    how = CtExport(position=position, gantry_tilt_deg=float(np.degrees(np.arctan(0.2))))
    image = datasets(ct_files(ramp, how))[6]
    along, down = np.reshape([float(v) for v in image.ImageOrientationPatient], (2, 3))
    steps = [float(v) for v in image.PixelSpacing]
    for row, column in ((9, 12), (20, 25), (16, 8)):
        point = np.array([float(v) for v in image.ImagePositionPatient])
        point = point + down * steps[0] * row + along * steps[1] * column
        at_z, at_y, at_x = ramp.grid.index_zyx(point)
        expected = 40 * at_z + 3 * at_y - 5 * at_x
        assert image.pixel_array[row, column] == pytest.approx(expected, abs=1.0)


def test_padded_corners_read_as_air() -> None:
    files = ct_files(VOLUME, CtExport(padded_corners=True))
    assert datasets(files)[0].pixel_array[0, 0] == datasets(files)[0].PixelPaddingValue == -2000
    assert read_ct(files).volume.array_zyx[0, 0, 0] == -1000


def test_the_same_arguments_give_the_same_bytes_and_others_other_uids() -> None:
    one, two = ct_files(VOLUME), ct_files(VOLUME)
    assert [file.data for file in one] == [file.data for file in two]
    turned = datasets(ct_files(VOLUME, CtExport(position=PatientPosition.HFP)))
    first = datasets(one)
    assert not {d.SOPInstanceUID for d in first} & {d.SOPInstanceUID for d in turned}
    assert {d.StudyInstanceUID for d in first} == {d.StudyInstanceUID for d in turned}


def test_the_patient_is_said_to_be_a_phantom() -> None:
    image = datasets(ct_files(VOLUME, CtExport(identity=Identity(patient_id="PHANTOM-0042"))))[0]
    assert str(image.PatientName) == "PHANTOM^HEAD NECK"
    assert image.PatientID == "PHANTOM-0042"


def test_volumes_with_other_axes_are_refused() -> None:
    grid = replace(VOLUME.grid, axes_lps=((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="axes"):
        ct_files(replace(VOLUME, grid=grid))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize(
    "how",
    [
        CtExport(),
        CtExport(position=PatientPosition.FFDR, padded_corners=True),
        CtExport(signed=False, rescale_per_slice=True, transfer_syntax_uid=ImplicitVRLittleEndian),
        CtExport(gantry_tilt_deg=10),
        CtExport(localizer=True, transfer_syntax_uid=RLELossless),
    ],
)
def test_dciodvfy_finds_no_error(how: CtExport, tmp_path: Path) -> None:
    paths = write_ct(VOLUME, tmp_path / "series", how)
    for path in (paths[0], paths[-1]):
        found = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        assert "Error" not in found.stderr
