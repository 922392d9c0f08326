import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from imaging.ct.padding import NOTHING, padding_notes
from imaging.ct.pixels import AIR_HU, read_hu
from imaging.ct.raw_slice import read_raw
from imaging.errors import ImageRefused, RefusalCode
from tests.imaging.ct_slices import big_endian, compressed, part10, slice_dataset


def hu(data: bytes, shape: tuple[int, int] = (2, 3)) -> list[list[int]]:
    out: NDArray[np.int16] = np.empty(shape, np.int16)
    read_hu(read_raw(data, "file"), out)
    return [[int(v) for v in row] for row in out]


def dataset(stored: list[list[int]], kind: str = "i2", **attributes: object) -> Dataset:
    d = slice_dataset(np.array(stored, kind))
    for keyword, value in attributes.items():
        setattr(d, keyword, value)
    return d


def test_unsigned_and_signed_values_are_rescaled() -> None:
    assert hu(part10(dataset([[0, 1, 1024], [2000, 3000, 4095]], "u2"))) == [
        [-1024, -1023, 0],
        [976, 1976, 3071],
    ]
    signed = dataset([[-1000, -1, 0], [1, 1000, 3071]], RescaleIntercept="0")
    assert hu(part10(signed)) == [[-1000, -1, 0], [1, 1000, 3071]]


def test_a_slope_that_is_not_one_is_rounded_to_whole_hu() -> None:
    d = dataset([[0, 1, 2], [3, 4, 5]], RescaleSlope="2.25", RescaleIntercept="-10.5")
    assert hu(part10(d)) == [[-10, -8, -6], [-4, -2, 1]]  # -10.5 -8.25 -6 -3.75 -1.5 0.75, halves to even


def test_values_beyond_int16_stop_at_its_ends_and_do_not_wrap() -> None:
    assert hu(part10(dataset([[0, 33792, 65535]] * 2, "u2")))[0] == [-1024, 32767, 32767]
    assert hu(part10(dataset([[-32768, -31745, 0]] * 2)))[0] == [-32768, -32768, -1024]


def test_fewer_bits_stored_than_allocated_are_masked_and_sign_extended() -> None:
    unsigned = dataset([[0xF000, 0xF001, 0x0FFF]] * 2, "u2", BitsStored=12, HighBit=11)
    assert hu(part10(unsigned))[0] == [-1024, -1023, 3071]
    signed = dataset([[0x0FFF, 0x0800, 0x07FF]] * 2, BitsStored=12, HighBit=11, RescaleIntercept="0")
    assert hu(part10(signed))[0] == [-1, -2048, 2047]
    upper = dataset([[0x7FF0, 0x0010, 0x0020]] * 2, BitsStored=12, HighBit=15, RescaleIntercept="0")
    assert hu(part10(upper))[0] == [2047, 1, 2]


def test_padding_becomes_air() -> None:
    d = dataset([[-2000, 0, 1024]] * 2)
    d.add_new(0x00280120, "SS", -2000)
    assert hu(part10(d))[0] == [AIR_HU, -1024, 0]


def test_a_range_of_padding_becomes_air() -> None:
    d = dataset([[63536, 60000, 1024]] * 2, "u2")
    d.add_new(0x00280120, "US", 63536)
    d.add_new(0x00280121, "US", 60000)
    assert hu(part10(d))[0] == [AIR_HU, AIR_HU, 0]


def test_eight_bit_slices_in_both_byte_orders() -> None:
    d = dataset([[0, 1, 255]] * 2, BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0)
    d.PixelData = bytes([0, 1, 255, 0, 1, 255])
    assert hu(part10(d)) == [[-1024, -1023, -769]] * 2


def test_big_endian_words() -> None:
    assert hu(big_endian(dataset([[0, 1, 1024], [-1, -2, 300]])))[1] == [-1025, -1026, -724]


def test_compressed_slices_keep_sign_and_padding() -> None:
    d = dataset([[-2000, -1, 1024], [5, 6, 7]])
    d.add_new(0x00280120, "SS", -2000)
    assert hu(compressed(d)) == [[AIR_HU, -1025, 0], [-1019, -1018, -1017]]


@pytest.mark.parametrize(
    ("attributes", "code", "tag"),
    [
        ({"PhotometricInterpretation": "MONOCHROME1"}, RefusalCode.UNSUPPORTED_PIXELS, "0028,0004"),
        (
            {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3},
            RefusalCode.UNSUPPORTED_PIXELS,
            "0028,0004",
        ),
        ({"BitsAllocated": 32}, RefusalCode.UNSUPPORTED_PIXELS, "0028,0100"),
        ({"BitsStored": 17}, RefusalCode.UNSUPPORTED_PIXELS, "0028,0100"),
        ({"PixelRepresentation": 2}, RefusalCode.UNSUPPORTED_PIXELS, "0028,0103"),
        ({"RescaleSlope": "0"}, RefusalCode.BAD_ATTRIBUTE, "0028,1053"),
        ({"RescaleSlope": None}, RefusalCode.MISSING_ATTRIBUTE, "0028,1053"),
        ({"RescaleIntercept": None}, RefusalCode.MISSING_ATTRIBUTE, "0028,1052"),
        ({"BitsStored": None}, RefusalCode.MISSING_ATTRIBUTE, "0028,0101"),
        ({"Rows": 4}, RefusalCode.MIXED_GEOMETRY, "0028,0010"),
        ({"PixelData": b"\0" * 10}, RefusalCode.TRUNCATED_PIXELS, "7FE0,0010"),
        ({"PixelData": b""}, RefusalCode.NO_PIXELS, "7FE0,0010"),
    ],
)
def test_pixels_that_are_not_read_are_refused_by_tag(
    attributes: dict[str, object], code: RefusalCode, tag: str
) -> None:
    with pytest.raises(ImageRefused, match=tag) as refusal:
        hu(part10(dataset([[0, 1, 2], [3, 4, 5]], **attributes)))
    assert refusal.value.code is code


def test_a_file_that_ends_inside_the_pixels_is_refused() -> None:
    with pytest.raises(ImageRefused, match="has 8 bytes, needs 12") as refusal:
        hu(part10(dataset([[0, 1, 2], [3, 4, 5]]))[:-4])
    assert refusal.value.code is RefusalCode.TRUNCATED_PIXELS


def test_damaged_compressed_pixels_are_refused() -> None:
    d = dataset([[0, 1, 2], [3, 4, 5]])
    data = compressed(d)
    for damaged in (data[:-40], data.replace(b"\x02\x00\x00\x00\x40", b"\x09\x00\x00\x00\x40")):
        with pytest.raises(ImageRefused) as refusal:
            hu(damaged)
        assert refusal.value.code in (RefusalCode.TRUNCATED_PIXELS, RefusalCode.UNSUPPORTED_PIXELS)


def test_an_unknown_compression_is_refused_by_name() -> None:
    d = dataset([[0, 1, 2], [3, 4, 5]])
    compressed(d)
    mpeg = "1.2.840.10008.1.2.4.100"
    with pytest.raises(ImageRefused, match="MPEG2") as refusal:
        hu(part10(d, mpeg))
    assert refusal.value.code is RefusalCode.UNSUPPORTED_PIXELS


def test_a_slope_below_zero_is_refused() -> None:
    with pytest.raises(ImageRefused, match=r"Rescale Slope \(0028,1053\) is -1, not positive"):
        hu(part10(dataset([[0, 1, 2], [3, 4, 5]], RescaleSlope="-1")))


def padded(value: int, limit: int | None = None) -> Dataset:
    """A slice of 4 x 5: a corner of three pixels and one pixel inside hold 1064 (40 HU), the rest 1000 to 1005."""
    stored = [[1064, 1064, 1000, 1001, 1002], [1064, 1003, 1004, 1005, 1000]]
    stored += [[1001, 1002, 1064, 1003, 1004], [1005, 1000, 1001, 1002, 1003]]
    d = dataset(stored)
    d.add_new(0x00280120, "SS", value)
    if limit is not None:
        d.add_new(0x00280121, "SS", limit)
    return d


def test_padding_with_a_value_of_tissue_is_air_at_the_border_alone_and_counted() -> None:
    out = np.empty((4, 5), np.int16)
    found = read_hu(read_raw(part10(padded(1064)), "file"), out)
    assert found == (40, 3, 1)
    assert out[:2, :2].tolist() == [[AIR_HU, AIR_HU], [AIR_HU, -21]]
    assert out[2, 2] == 40
    (note,) = padding_notes([found, found, NOTHING])
    assert "stands for 40 HU: 6 pixels of padding at the images' borders are taken as air, 2 inside" in note


def test_a_range_of_padding_that_covers_what_the_image_shows_is_refused() -> None:
    with pytest.raises(ImageRefused, match=r"\(0028,0120\) and .*\(0028,0121\) cover -24 to 40 HU") as found:
        hu(part10(padded(1064, 1000)), (4, 5))
    assert found.value.code is RefusalCode.BAD_ATTRIBUTE


def test_a_range_of_padding_with_one_value_in_the_image_is_padding() -> None:
    assert hu(part10(padded(1064, 1200)), (4, 5))[0][:3] == [AIR_HU, AIR_HU, -24]


def test_padding_that_bits_stored_cannot_hold_is_no_other_pixel() -> None:
    """63536 cut to 12 bits would be 2096, which is bone; it is the cells of 63536 that are meant."""
    d = dataset([[63536, 2096, 1024]] * 2, "u2", BitsStored=12, HighBit=11)
    d.add_new(0x00280120, "US", 63536)
    assert hu(part10(d))[0] == [AIR_HU, 1072, 0]


def test_padding_as_a_pattern_of_the_stored_bits_is_the_signed_value() -> None:
    d = dataset([[-2000, 0, 1024]] * 2, BitsStored=12, HighBit=11)
    d.add_new(0x00280120, "US", 2096)  # the twelve bits of -2000
    assert hu(part10(d))[0] == [AIR_HU, -1024, 0]
