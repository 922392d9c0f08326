"""Images that say they are larger than they are, or unpack to more than they should: refused before memory is taken."""

import re
import struct
import subprocess
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from imaging.ct.pixels import read_hu
from imaging.ct.raw_slice import read_raw
from imaging.ct.series import SourceFile, read_ct
from imaging.ct.stored_values import SLACK_BYTES
from imaging.dicom.elements import MOST_INFLATED_BYTES
from imaging.errors import ImageRefused, RefusalCode
from tests.imaging.ct_slices import part10, series, slice_dataset

MOST_BYTES = 64 << 20
"""More than any of these may take, and far less than what they claim."""


def jpeg(rows: int, columns: int, samples: int = 1, marker: int = 0xC3) -> bytes:
    sof = struct.pack(">HBHHB", 8 + 3 * samples, 16, rows, columns, samples) + b"\1\x11\0" * samples
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\1\0\1\0\0" + bytes(64)
    return b"\xff\xd8\xff" + bytes([marker]) + sof + scan + b"\xff\xd9"


def jpeg_2000(rows: int, columns: int, samples: int = 1, tile: int | None = None) -> bytes:
    size = struct.pack(
        ">HHLLLLLLLLH", 38 + 3 * samples, 0, columns, rows, 0, 0, tile or columns, tile or rows, 0, 0, samples
    )
    return b"\xff\x4f\xff\x51" + size + b"\x0f\1\1" * samples + bytes(64) + b"\xff\xd9"


def rle(segments: int, first: bytes, offset: int = 64) -> bytes:
    return struct.pack("<16L", segments, offset, *[64] * 14) + first


def refused(frame: bytes, syntax: str, **attributes: object) -> ImageRefused:
    """The refusal of a slice of 2 x 3 pixels with such a frame, and that it took little memory."""
    dataset = slice_dataset(np.zeros((2, 3), "i2"))
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    data = part10(dataset, syntax)
    out = np.empty((2, 3), np.int16)
    tracemalloc.start()
    try:
        with pytest.raises(ImageRefused) as caught:
            read_hu(read_raw(data, "file"), out)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    return caught.value


@pytest.mark.parametrize(
    ("frame", "syntax", "said"),
    [
        (jpeg(65535, 65535), JPEGLosslessSV1, "says 65535 x 65535 x 1, not 2 x 3"),
        (jpeg(65535, 65535, marker=0xC0), JPEGBaseline8Bit, "says 65535 x 65535 x 1, not 2 x 3"),
        (jpeg(65535, 65535, marker=0xF7), JPEGLSLossless, "says 65535 x 65535 x 1, not 2 x 3"),
        (jpeg(2, 3, samples=255), JPEGLosslessSV1, "says 2 x 3 x 255, not 2 x 3"),
        (jpeg(2, 3)[:-70] + jpeg(65535, 65535)[2:], JPEGLosslessSV1, "PixelData|Pixel Data"),
        (jpeg_2000(65535, 65535), JPEG2000Lossless, "says 65535 x 65535 x 1, not 2 x 3"),
        (jpeg_2000(0xFFFFFFFF, 0xFFFFFFFF), JPEG2000Lossless, "says 4294967295 x 4294967295"),
        (jpeg_2000(2, 3, samples=16384), JPEG2000Lossless, "says 2 x 3 x 16384, not 2 x 3"),
        (jpeg_2000(60000, 60000, tile=1), JPEG2000Lossless, "tiles"),
        (jpeg_2000(2, 3)[:20], JPEG2000Lossless, "no header of JPEG"),
        (b"nothing of the kind" * 9, JPEGLSLossless, "no header of JPEG"),
        (bytes(200_000), RLELossless, "more than twice the 12 of the image"),
        (rle(2, b"\x81\0" * 1000), RLELossless, "RLE Lossless"),
        (rle(15, b"\x81\0"), RLELossless, "RLE Lossless"),
        (rle(0xFFFFFFFF, b"\x81\0"), RLELossless, "RLE Lossless"),
        (rle(2, b"\x81\0", offset=0xFFFFFFFF), RLELossless, "RLE Lossless"),
    ],
)
def test_a_frame_that_is_not_the_image_it_claims_is_refused(frame: bytes, syntax: str, said: str) -> None:
    refusal = refused(frame, syntax)
    assert refusal.code in (RefusalCode.UNSUPPORTED_PIXELS, RefusalCode.TRUNCATED_PIXELS)
    assert re.search(said, refusal.message), refusal.message


def test_rows_and_columns_beyond_any_ct_are_refused_before_the_volume_is_made() -> None:
    def huge(dataset: object) -> None:
        dataset.Rows = dataset.Columns = 65535  # type: ignore[attr-defined]

    files = series(spoil=dict.fromkeys(range(3), huge))
    with pytest.raises(ImageRefused, match="65535 x 65535; 1 to 4096 are read"):
        read_ct(files)


def test_a_deflated_dataset_of_zeros_is_refused_in_bounded_memory() -> None:
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range((MOST_INFLATED_BYTES >> 20) + 2)) + packer.flush()
    assert len(bomb) < 1 << 20
    head = part10(slice_dataset(np.zeros((2, 3), "i2")), "1.2.840.10008.1.2.1")
    end_of_meta = 144 + int.from_bytes(head[140:144], "little")
    meta = head[:end_of_meta].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    grown = len(meta) - end_of_meta
    at = meta.index(b"1.2.840.10008.1.2.1.99") - 2
    meta = meta[:at] + struct.pack("<H", 22) + meta[at + 2 :]
    meta = meta[:140] + struct.pack("<L", end_of_meta - 144 + grown) + meta[144:]
    with pytest.raises(ImageRefused, match="deflated dataset of more than"):
        read_ct([SourceFile(name="bomb", data=meta + bomb)])


def test_an_honest_jpeg_2000_slice_is_read() -> None:
    stored = np.arange(64 * 48, dtype="i2").reshape(64, 48)
    dataset = slice_dataset(stored)
    part10(dataset)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    out = np.empty(stored.shape, np.int16)
    read_hu(read_raw(part10(dataset, JPEG2000Lossless), "file"), out)
    assert (out == stored - 1024).all()


@pytest.mark.skipif(not Path("/usr/bin/dcmcjpeg").exists(), reason="DCMTK is not installed")
@pytest.mark.parametrize(
    "tool", [("dcmcjpeg", "+e1"), ("dcmcjpeg", "+el"), ("dcmcjpls", "+el"), ("dcmcrle",)]
)
def test_honest_slices_of_dcmtk_are_read(tmp_path: Path, tool: tuple[str, ...]) -> None:
    stored = np.arange(64 * 48, dtype="u2").reshape(64, 48)
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    plain.write_bytes(part10(slice_dataset(stored)))
    subprocess.run([f"/usr/bin/{tool[0]}", *tool[1:], plain, packed], check=True, timeout=60)
    out = np.empty(stored.shape, np.int16)
    read_hu(read_raw(packed.read_bytes(), "file"), out)
    assert (out == stored.astype("i4") - 1024).all()


@pytest.mark.parametrize(("more", "words"), [(0, "RLE Lossless"), (2, "more than twice the 12 of the image")])
def test_a_frame_of_twice_its_pixels_and_the_slack_is_still_given_to_a_decoder(more: int, words: str) -> None:
    assert words in refused(bytes(2 * 12 + SLACK_BYTES + more), RLELossless).message
