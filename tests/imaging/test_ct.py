import random
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from imaging.ct.series import SeriesCheck, SourceFile, check_series, read_ct, same_pixels
from imaging.errors import ImageRefused, RefusalCode
from tests.imaging.ct_slices import (
    FRAME,
    SERIES,
    STUDY,
    big_endian,
    compressed,
    part10,
    series,
    slice_dataset,
    with_text,
)

STORED = np.arange(12, dtype=np.int16).reshape(3, 4)


def test_a_series_in_any_order_is_one_volume_in_patient_millimetres() -> None:
    files = series()
    random.Random(1).shuffle(files)
    ct = read_ct(files)
    assert ct.volume.array_zyx.dtype == np.int16
    expected = np.stack([STORED - 24, STORED + 76, STORED + 176])
    assert np.array_equal(ct.volume.array_zyx, expected)
    assert ct.volume.grid.shape_zyx == (3, 3, 4)
    assert ct.volume.grid.origin_lps == (-10.25, 20.5, -30.0)
    assert ct.volume.grid.spacing_zyx_mm == (2.5, 1.5, 0.75)
    assert ct.volume.grid.axes_lps == ((0, 0, 1), (0, 1, 0), (1, 0, 0))
    assert [s.position[2] for s in ct.slices] == ["-30", "-27.5", "-25"]
    assert [s.sop_instance_uid for s in ct.slices] == ["1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"]
    assert (ct.study_uid, ct.series_uid, ct.frame_of_reference_uid) == (STUDY, SERIES, FRAME)
    assert ct.patient_position == "HFS"
    assert "PixelData" not in ct.header


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_transfer_syntaxes_give_the_same_volume(syntax: str) -> None:
    files = [
        SourceFile(
            name="", data=part10(slice_dataset(STORED + 1000, ("0", "0", f"{k}"), number=k + 1), syntax)
        )
        for k in range(2)
    ]
    assert np.array_equal(read_ct(files).volume.array_zyx, np.stack([STORED - 24] * 2))


def test_big_endian_gives_the_same_volume() -> None:
    files = [
        SourceFile(name="", data=big_endian(slice_dataset(STORED + 1000, ("0", "0", f"{k}"), number=k + 1)))
        for k in range(2)
    ]
    assert np.array_equal(read_ct(files).volume.array_zyx, np.stack([STORED - 24] * 2))


def test_compressed_and_plain_slices_may_be_mixed() -> None:
    files = []
    for k in range(2):
        dataset = slice_dataset(STORED + 1000, ("0", "0", f"{k}"), number=k + 1)
        files.append(SourceFile(name="", data=compressed(dataset) if k else part10(dataset)))
    assert np.array_equal(read_ct(files).volume.array_zyx, np.stack([STORED - 24] * 2))


def test_a_file_without_preamble_and_meta_information_is_read() -> None:
    files = [SourceFile(name="", data=f.data[f.data.index(b"\x08\x00\x05\x00CS") :]) for f in series()]
    assert read_ct(files).volume.grid.shape_zyx == (3, 3, 4)


@pytest.mark.parametrize(
    ("position", "orientation", "axes"),
    [
        ("HFS", (1, 0, 0, 0, 1, 0), ((0, 0, 1), (0, 1, 0), (1, 0, 0))),
        ("HFP", (-1, 0, 0, 0, -1, 0), ((0, 0, 1), (0, -1, 0), (-1, 0, 0))),
        ("FFS", (-1, 0, 0, 0, 1, 0), ((0, 0, -1), (0, 1, 0), (-1, 0, 0))),
        ("FFP", (1, 0, 0, 0, -1, 0), ((0, 0, -1), (0, -1, 0), (1, 0, 0))),
        ("HFDR", (0, 1, 0, -1, 0, 0), ((0, 0, 1), (-1, 0, 0), (0, 1, 0))),
        ("HFDL", (0, -1, 0, 1, 0, 0), ((0, 0, 1), (1, 0, 0), (0, -1, 0))),
        ("FFDR", (0, -1, 0, -1, 0, 0), ((0, 0, -1), (-1, 0, 0), (0, -1, 0))),
        ("FFDL", (0, 1, 0, 1, 0, 0), ((0, 0, -1), (1, 0, 0), (0, 1, 0))),
    ],
)
def test_every_axial_patient_position(
    position: str, orientation: tuple[int, ...], axes: tuple[tuple[int, ...], ...]
) -> None:
    files = []
    for k, z in enumerate(("5", "7", "9")):
        dataset = slice_dataset(STORED + 100 * k, ("1", "2", z), orientation, k + 1)
        dataset.PatientPosition = position
        files.append(SourceFile(name="", data=part10(dataset)))
    ct = read_ct(files)
    assert ct.patient_position == position
    assert ct.volume.grid.axes_lps == axes
    lowest_first = axes[0][2] == 1
    assert [s.position[2] for s in ct.slices] == (["5", "7", "9"] if lowest_first else ["9", "7", "5"])
    assert ct.volume.array_zyx[0, 0, 0] == (-1024 if lowest_first else -824)


def test_objects_that_are_no_ct_images_are_refused() -> None:
    for spoil, code in (
        (lambda d: setattr(d, "Modality", "MR"), RefusalCode.NOT_CT),
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"), RefusalCode.NOT_CT),
        (lambda d: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.2.1"), RefusalCode.ENHANCED),
        (lambda d: setattr(d, "NumberOfFrames", "5"), RefusalCode.ENHANCED),
        (lambda d: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), RefusalCode.LOCALIZER),
        (lambda d: d.__delitem__("PixelData"), RefusalCode.NO_PIXELS),
        (lambda d: d.__delitem__("SOPInstanceUID"), RefusalCode.UNREADABLE),
    ):
        with pytest.raises(ImageRefused) as refusal:
            read_ct(series(spoil={1: spoil}))
        assert refusal.value.code is code
        assert "1.2.3.4.2" in refusal.value.message or "slice 1" in refusal.value.message


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\0" * 200, b"\0" * 128 + b"DICM", b"\x89PNG\r\n" + b"\1" * 300]
)
def test_bytes_that_are_no_dicom_are_refused_by_file_name(data: bytes) -> None:
    with pytest.raises(ImageRefused, match=r"report\.pdf") as refusal:
        read_ct([SourceFile(name="report.pdf", data=data)])
    assert refusal.value.code is RefusalCode.UNREADABLE


def test_a_message_names_no_patient() -> None:
    with pytest.raises(ImageRefused) as refusal:
        read_ct(series(("0", "1", "5")))
    assert "liwa" not in refusal.value.message
    assert "P1" not in refusal.value.message


def localizer(number: int = 9, orientation: tuple[float, ...] = (1, 0, 0, 0, 0, -1)) -> SourceFile:
    scout = slice_dataset(STORED + 3000, ("0", "0", "100"), orientation, number=number)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return SourceFile(name="scout", data=part10(scout))


def test_a_localizer_across_the_slices_is_set_aside_and_named() -> None:
    files = [localizer(), *series()]
    ct = read_ct(files)
    assert np.array_equal(ct.volume.array_zyx, read_ct(series()).volume.array_zyx)
    assert ct.set_aside == ("1.2.3.4.9",)
    assert ct.header.SOPInstanceUID == "1.2.3.4.1"
    assert check_series(files) == SeriesCheck(slice_count=3, set_aside=("1.2.3.4.9",), doubt="")


def page(*, number: int = 9, **values: object) -> SourceFile:
    """A screen page in the series: no place in the patient, unless `values` give it one of a slice."""
    screen = slice_dataset(STORED, ("0", "0", "3"), number=number)
    screen.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    for keyword, value in values.items():
        if value is None:
            del screen[keyword]
        else:
            setattr(screen, keyword, value)
    return SourceFile(name="page", data=part10(screen))


NOWHERE = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "FrameOfReferenceUID": None}


@pytest.mark.parametrize(
    "values",
    [
        {},
        NOWHERE,
        {**NOWHERE, "ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"], "RescaleType": "US"},
        {**NOWHERE, "ImageType": ["DERIVED", "SECONDARY"], "PixelSpacing": None, "RescaleSlope": None},
        {**NOWHERE, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "ConversionType": "WSD"},
        {"PhotometricInterpretation": "RGB", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"]},
        {**NOWHERE, "PatientID": None, "PatientName": None},
    ],
)
def test_a_screen_page_inside_a_series_is_set_aside_and_named(values: dict[str, object]) -> None:
    files = [page(**values), *series()]
    ct = read_ct(files)
    assert np.array_equal(ct.volume.array_zyx, read_ct(series()).volume.array_zyx)
    assert ct.set_aside == ("1.2.3.4.9",)
    assert check_series(files) == SeriesCheck(slice_count=3, set_aside=("1.2.3.4.9",), doubt="")


@pytest.mark.parametrize("beside", [localizer, page])
@pytest.mark.parametrize(
    ("keyword", "value", "tag"),
    [
        ("PatientID", "OTHER", r"Patient ID \(0010,0020\)"),
        ("PatientBirthDate", "19010101", r"Patient's Birth Date \(0010,0030\)"),
        ("PatientName", "Somebody^Else", r"Patient's Name \(0010,0010\)"),
    ],
)
def test_an_image_beside_the_slices_of_another_patient_refuses_the_series(
    beside: Callable[[], SourceFile], keyword: str, value: str, tag: str
) -> None:
    files = series(
        spoil=dict.fromkeys(range(3), lambda image: setattr(image, "PatientBirthDate", "19500505"))
    )
    other = dcmread(BytesIO(beside().data))
    setattr(other, keyword, value)
    for read in (read_ct, check_series):
        with pytest.raises(ImageRefused, match=tag) as found:
            read([*files, SourceFile(name="beside", data=part10(other))])
        assert found.value.code is RefusalCode.MIXED_PATIENTS
        assert "1.2.3.4.9" in found.value.message


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("RescaleSlope", -1, r"\(0028,1053\) is -1.0, not positive: these are not Hounsfield units"),
        (
            "RescaleIntercept",
            None,
            r"\(0028,1052\) is missing: without it stored values are no Hounsfield units",
        ),
        ("BitsStored", 17, r"\(0028,0100\) 16 with 17 bits stored"),
        ("PhotometricInterpretation", "MONOCHROME1", r"\(0028,0004\) is 'MONOCHROME1'"),
    ],
)
def test_what_a_header_says_against_its_pixels_is_found_without_them(
    keyword: str, value: object, words: str
) -> None:
    def spoil(image: Dataset) -> None:
        if value is None:
            del image[keyword]
        else:
            setattr(image, keyword, value)

    with pytest.raises(ImageRefused, match=words):
        check_series(series(spoil={1: spoil}))


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0.97, -0.24)])
def test_a_localizer_that_could_be_one_of_the_slices_is_refused(orientation: tuple[float, ...]) -> None:
    for read in (read_ct, check_series):
        with pytest.raises(ImageRefused) as found:
            read([*series(), localizer(orientation=orientation)])
        assert found.value.code is RefusalCode.LOCALIZER
        assert "1.2.3.4.9" in found.value.message


def test_localizers_alone_and_ones_without_a_direction_are_refused() -> None:
    blind = slice_dataset(STORED, ("0", "0", "1"))
    blind.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    del blind.ImageOrientationPatient
    for files in ([localizer()], [*series(), SourceFile(name="", data=part10(blind))]):
        with pytest.raises(ImageRefused) as found:
            check_series(files)
        assert found.value.code is RefusalCode.LOCALIZER


def test_a_check_needs_no_pixels_and_tells_a_numbering_with_holes() -> None:
    files = series(("-30", "-27.5", "-25"))
    cut = [SourceFile(name=file.name, data=file.data[:-24]) for file in files]
    assert check_series(cut).slice_count == 3
    holes = [
        SourceFile(name="", data=with_text(file.data, "InstanceNumber", number))
        for file, number in zip(files, (b"1 ", b"3 ", b"5 "), strict=True)
    ]
    assert check_series(holes).doubt == "Instance Number (0020,0013) runs from 1 to 5 over 3 slices"


def test_same_pixels_are_told_from_others() -> None:
    one, twin, other = (
        part10(slice_dataset(STORED + more, number=number)) for number, more in ((1, 0), (2, 0), (3, 1))
    )
    assert same_pixels(one, twin)
    assert not same_pixels(one, other)
