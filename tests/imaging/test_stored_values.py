"""One image, one HU: in every encoding, with whatever stands in the unused bits."""

import base64

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import HTJ2KLossless

from imaging.ct.pixels import read_hu
from imaging.ct.raw_slice import read_raw
from imaging.errors import ImageRefused, RefusalCode
from tests.imaging.codecs import WHOLE_CELLS, Cells, File, encapsulated, jpeg_2000, jpeg_lossless, jpeg_ls
from tests.imaging.ct_slices import slice_dataset
from tests.imaging.htj2k_frames import FRAMES

Values = NDArray[np.int64]
SHAPE = (40, 48)
INTERCEPT = {True: -24, False: -1024}
BITS = tuple(range(10, 17))
CODESTREAMS = ("JPEG lossless", "JPEG-LS", "JPEG 2000 unsigned", "JPEG 2000 signed")


def true_values(bits: int, *, signed: bool) -> Values:
    """Stored values as they are meant: a smooth field through nearly all of what `bits` bits hold."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    wave = 0.5 + 0.49 * np.sin(x / 5.0) * np.cos(y / 7.0)  # 0.01 to 0.99
    return np.rint(wave * ((1 << bits) - 1)).astype(np.int64) - ((1 << (bits - 1)) if signed else 0)


def cells_of(values: Values, bits: int, unused: str) -> Cells:
    """16-bit cells of these values: the unused bits zero, the sign, or an overlay over zeros or over the sign."""
    cells = values & ((1 << bits) - 1) if unused in ("zero", "overlay") else values & 0xFFFF
    if "overlay" in unused:
        cells[10:30, 12:36] ^= 1 << bits
        cells[2:6, 2:30] ^= 1 << 15
    return (cells & 0xFFFF).astype(np.uint16)


def header(bits: int, *, signed: bool) -> Dataset:
    dataset = slice_dataset(np.zeros(SHAPE, np.int16 if signed else np.uint16))
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.RescaleIntercept = str(INTERCEPT[signed])
    return dataset


def hu(data: bytes) -> NDArray[np.int16]:
    out = np.empty(SHAPE, np.int16)
    read_hu(read_raw(data, "file"), out)
    return out


def expected(values: Values, *, signed: bool) -> Values:
    return np.clip(values + INTERCEPT[signed], -32768, 32767)


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("encoding", WHOLE_CELLS)
@pytest.mark.parametrize("unused", ["zero", "sign", "overlay", "overlay over sign"])
def test_unused_bits_change_no_hu_in_any_encoding(
    encoding: str, bits: int, signed: bool, unused: str
) -> None:
    if bits == 16:
        unused = "zero"  # none is left
    values = true_values(bits, signed=signed)
    file = WHOLE_CELLS[encoding](header(bits, signed=signed), cells_of(values, bits, unused))
    assert np.array_equal(hu(file), expected(values, signed=signed))


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("codestream", CODESTREAMS)
def test_a_codestream_of_the_stored_bits_alone_has_the_sign_of_the_header(
    codestream: str, bits: int, signed: bool
) -> None:
    files: dict[str, File] = {
        "JPEG lossless": jpeg_lossless(bits),
        "JPEG-LS": jpeg_ls(bits),
        "JPEG 2000 unsigned": jpeg_2000(bits, signed=False),
        "JPEG 2000 signed": jpeg_2000(bits, signed=True),
    }
    values = true_values(bits, signed=signed)
    file = files[codestream](header(bits, signed=signed), cells_of(values, bits, "zero"))
    assert np.array_equal(hu(file), expected(values, signed=signed))


@pytest.mark.parametrize("codestream", CODESTREAMS)
@pytest.mark.parametrize(("bits", "precision"), [(12, 13), (12, 14), (10, 15), (13, 15)])
def test_a_codestream_with_more_bits_than_are_stored_is_cut_to_them(
    codestream: str, bits: int, precision: int
) -> None:
    files: dict[str, File] = {
        "JPEG lossless": jpeg_lossless(precision),
        "JPEG-LS": jpeg_ls(precision),
        "JPEG 2000 unsigned": jpeg_2000(precision, signed=False),
        "JPEG 2000 signed": jpeg_2000(precision, signed=True),
    }
    for signed in (False, True):
        values = true_values(bits, signed=signed)
        cells = cells_of(values, bits, "zero")
        cells[10:30, 12:36] |= 1 << bits  # an overlay in the one spare bit that all of them have
        file = files[codestream](header(bits, signed=signed), cells)
        assert np.array_equal(hu(file), expected(values, signed=signed))


@pytest.mark.parametrize("codestream", CODESTREAMS)
def test_a_codestream_with_fewer_bits_than_are_stored_is_read(codestream: str) -> None:
    """Twelve bits in a slice that says 16: every value has its place in both."""
    files: dict[str, File] = {
        "JPEG lossless": jpeg_lossless(12),
        "JPEG-LS": jpeg_ls(12),
        "JPEG 2000 unsigned": jpeg_2000(12, signed=False),
        "JPEG 2000 signed": jpeg_2000(12, signed=True),
    }
    for signed in (False, True):
        values = true_values(12, signed=signed)
        file = files[codestream](header(16, signed=signed), cells_of(values, 12, "sign"))
        assert np.array_equal(hu(file), expected(values, signed=signed))


def test_a_codestream_with_more_bits_than_are_allocated_is_refused() -> None:
    dataset = header(8, signed=False)
    dataset.BitsAllocated = 8
    with pytest.raises(ImageRefused, match="16 bits a pixel, more than the 8 of Bits Allocated") as found:
        hu(jpeg_ls(16)(dataset, cells_of(true_values(8, signed=False), 8, "zero")))
    assert found.value.code is RefusalCode.UNSUPPORTED_PIXELS


@pytest.mark.parametrize("encoding", WHOLE_CELLS)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_values_that_go_on_beyond_bits_stored_are_refused(encoding: str, signed: bool) -> None:
    """13-bit values in a slice that says 12: cut to 12 bits the densest would become the lightest."""
    file = WHOLE_CELLS[encoding](
        header(12, signed=signed), cells_of(true_values(13, signed=signed), 13, "sign")
    )
    with pytest.raises(ImageRefused, match=r"Bits Stored \(0028,0101\) is 12, but the values go on") as found:
        hu(file)
    assert found.value.code is RefusalCode.UNSUPPORTED_PIXELS


def test_high_bit_above_bits_stored_shifts_whole_cells_and_no_codestream_of_the_bits_alone() -> None:
    values = true_values(12, signed=False)
    cells = cells_of(values, 12, "zero")
    dataset = header(12, signed=False)
    dataset.HighBit = 15
    assert np.array_equal(hu(WHOLE_CELLS["explicit"](dataset, cells << 4)), expected(values, signed=False))
    dataset = header(12, signed=False)
    dataset.HighBit = 15
    assert np.array_equal(hu(jpeg_2000(12, signed=False)(dataset, cells)), expected(values, signed=False))


def test_an_intercept_that_int16_cannot_hold_gives_the_same_hu() -> None:
    values = true_values(12, signed=False)
    dataset = header(16, signed=False)
    dataset.RescaleIntercept = "-33792"
    file = WHOLE_CELLS["explicit"](dataset, (values + 32768).astype(np.uint16))
    assert np.array_equal(hu(file), values - 1024)


@pytest.mark.parametrize("frame", FRAMES)
def test_high_throughput_jpeg_2000_gives_the_same_hu(frame: str) -> None:
    text, bits, signed, unused = FRAMES[frame]
    values = true_values(bits, signed=signed)
    file = encapsulated(lambda _: base64.b64decode(text), HTJ2KLossless)
    data = file(header(bits, signed=signed), cells_of(values, bits, unused))
    assert np.array_equal(hu(data), expected(values, signed=signed))
