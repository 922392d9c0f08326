"""Text in and beside the pixels: unused bits, comments of compressed frames, bytes behind the last of them."""

import io
import struct

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from imaging.deidentify import DeidentificationOptions, DeidentificationRefused, ProjectKey, deidentify
from imaging.deidentify.codestreams import clean_encapsulated
from phantoms.dicom import ct_files
from tests.support.small_node import small_volume

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
KEY = ProjectKey(b"p" * 32)
SECRET = b"Gruenfeld^Ottilie"


def _ct(syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    dataset = dcmread(io.BytesIO(ct_files(small_volume())[0].data))
    dataset.Rows = dataset.Columns = 64
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    cells = (np.indices((64, 64)).sum(0) * 7 + 900).astype("<u2")
    dataset.PixelData = cells.tobytes()
    if syntax.is_encapsulated:
        dataset.compress(syntax, generate_instance_uid=False)
    return dataset


def _copy(dataset: Dataset) -> Dataset:
    stream = io.BytesIO()
    dataset.save_as(stream)
    return dcmread(io.BytesIO(deidentify(stream.getvalue(), KEY, DeidentificationOptions()).data))


def test_an_overlay_in_unused_bits_is_cleared_and_the_values_stay() -> None:
    dataset = _ct()
    before = np.frombuffer(dataset.PixelData, "<u2").reshape(64, 64)
    text = np.zeros((64, 64), "<u2")
    text[10:20, 5:50] = np.indices((10, 45)).sum(0) % 3 == 0
    dataset.PixelData = (before | text << 12).tobytes()
    assert _copy(dataset).PixelData == before.tobytes()


def test_a_sign_in_unused_bits_and_padding_beyond_them_stay_as_they_are() -> None:
    dataset = _ct()
    dataset.PixelRepresentation = 1
    cells = (np.indices((64, 64)).sum(0) * 7 - 400).astype("<i2")
    cells[0, :9] = -3000
    dataset.PixelData = cells.tobytes()
    dataset.add_new(0x00280120, "SS", -3000)
    assert _copy(dataset).PixelData == cells.tobytes()


def test_values_that_go_on_beyond_bits_stored_are_refused() -> None:
    dataset = _ct()
    dataset.PixelData = (np.indices((64, 64)).sum(0) * 60 + 900).astype("<u2").tobytes()
    with pytest.raises(DeidentificationRefused, match="0028,0101"):
        _copy(dataset)


def test_bytes_behind_the_last_pixel_are_removed() -> None:
    dataset = _ct()
    before = dataset.PixelData
    dataset.PixelData = before + SECRET + b" "
    assert _copy(dataset).PixelData == before


def _marked(frame: bytes, syntax: UID) -> bytes:
    """Return the frame with a comment behind its first marker segment, application data, and a text behind its end."""
    told = (len(SECRET) + 2).to_bytes(2, "big") + SECRET
    if syntax == RLELossless:
        return frame + SECRET + b" "
    if syntax == JPEG2000Lossless:
        start = 4 + int.from_bytes(frame[4:6], "big")
        comment = b"\xff\x64" + (len(SECRET) + 4).to_bytes(2, "big") + b"\0\1" + SECRET
        return frame[:start] + comment + frame[start:] + SECRET
    return frame[:2] + b"\xff\xfe" + told + b"\xff\xe7" + told + frame[2:] + SECRET


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_text_beside_a_compressed_image_is_removed_and_the_pixels_stay(syntax: UID) -> None:
    dataset = _ct(syntax)
    before = dataset.pixel_array.copy()
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    whole = encapsulate([_marked(frame, syntax)]) + b"\xfe\xff\x00\xe0\x12\x00\x00\x00" + SECRET + b" "
    assert SECRET in whole
    dataset.PixelData = whole
    dataset["PixelData"].is_undefined_length = True
    copy = _copy(dataset)
    assert SECRET not in copy.PixelData
    assert np.array_equal(copy.pixel_array, before)


def test_a_frame_in_three_fragments_stays_in_three() -> None:
    frame = b"\xff\xd8\xff\xfe\x00\x06name\xff\xda\x00\x03\x00abc\xff\x00def\xff\xd3ghi\xff\xd9"
    frame += b"x" * (len(frame) % 2)
    made = clean_encapsulated(
        encapsulate([frame], fragments_per_frame=3), UID("1.2.840.10008.1.2.4.70"), 1, 9
    )
    assert made.count(b"\xfe\xff\x00\xe0") == 4
    assert b"name" not in made
    assert b"abc\xff\x00" in made.replace(b"\xfe\xff\x00\xe0", b"")


def test_text_between_the_segments_of_an_rle_frame_becomes_zeros() -> None:
    segment = b"\xfd\x07\xfd\x08"  # 4 pixels of 7, 4 of 8: two bytes each
    first, second = 64 + len(SECRET), 64 + 2 * len(SECRET) + len(segment)
    header = struct.pack("<16L", 2, first, second, *[0x6E656D61] * 13)
    frame = header + SECRET + segment + SECRET + segment
    made = clean_encapsulated(encapsulate([frame + b"x" * (len(frame) % 2)]), RLELossless, 1, 8)
    assert SECRET not in made
    assert b"eman" not in made
    assert made.count(segment) == 2
    assert made.index(segment) - made.index(struct.pack("<L", first)) == first - 4
