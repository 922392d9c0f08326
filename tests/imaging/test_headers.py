import numpy as np
import pytest

from imaging.ct.headers import parse_header
from imaging.errors import ImageRefused, RefusalCode
from tests.imaging.ct_slices import part10, slice_dataset, with_text

STORED = np.zeros((3, 4), np.int16)


def test_a_header_is_read_from_the_bytes_before_the_pixels() -> None:
    data = part10(slice_dataset(STORED))
    header = parse_header(data[:-24], "a")
    assert header.position == ("-10.25", "20.5", "-30")
    assert header.position_lps == (-10.25, 20.5, -30.0)
    assert header.orientation == (1, 0, 0, 0, 1, 0)
    assert header.pixel_spacing_mm == (1.5, 0.75)
    assert (header.rows, header.columns) == (3, 4)
    assert header.gantry_tilt_deg is None
    assert header == parse_header(data, "a")


@pytest.mark.parametrize(
    ("keyword", "tag"),
    [
        ("ImagePositionPatient", "0020,0032"),
        ("ImageOrientationPatient", "0020,0037"),
        ("PixelSpacing", "0028,0030"),
        ("FrameOfReferenceUID", "0020,0052"),
        ("StudyInstanceUID", "0020,000D"),
        ("SeriesInstanceUID", "0020,000E"),
        ("Rows", "0028,0010"),
        ("Columns", "0028,0011"),
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_attribute_is_refused_by_tag_and_image(keyword: str, tag: str, empty: bool) -> None:
    dataset = slice_dataset(STORED)
    if empty:
        dataset[keyword].value = None
    else:
        del dataset[keyword]
    with pytest.raises(ImageRefused, match=tag) as refusal:
        parse_header(part10(dataset))
    assert refusal.value.code is RefusalCode.MISSING_ATTRIBUTE
    assert "image 1.2.3.4.1" in refusal.value.message


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("PixelSpacing", b"0\\1 "),
        ("PixelSpacing", b"1 "),
        ("PixelSpacing", b"-1\\-1 "),
        ("ImagePositionPatient", b"1\\2\\x "),
        ("ImagePositionPatient", b"1\\\\3 "),
        ("ImagePositionPatient", b"1\\2\\nan "),
        ("ImageOrientationPatient", b"1\\0\\0\\0\\1\\inf "),
        ("ImageOrientationPatient", b"1\\0\\0 "),
    ],
)
def test_values_that_are_no_numbers_are_refused(keyword: str, text: bytes) -> None:
    data = with_text(part10(slice_dataset(STORED)), keyword, text)
    with pytest.raises(ImageRefused) as refusal:
        parse_header(data)
    assert refusal.value.code is RefusalCode.BAD_ATTRIBUTE


def test_a_tilt_is_read_where_it_is_stated() -> None:
    dataset = slice_dataset(STORED)
    dataset.GantryDetectorTilt = "-12.5"
    assert parse_header(part10(dataset)).gantry_tilt_deg == -12.5


@pytest.mark.parametrize("text", [b"N/A ", b"", b"nan ", b"0\\0 "])
def test_a_tilt_that_is_no_number_says_nothing(text: bytes) -> None:
    dataset = slice_dataset(STORED)
    dataset.GantryDetectorTilt = "0"
    data = with_text(part10(dataset), "GantryDetectorTilt", text)
    assert parse_header(data).gantry_tilt_deg is None
