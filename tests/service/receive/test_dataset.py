import random
import struct
import zlib

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from service.dimse.dataset import DatasetReader, InstanceIdentity, MalformedDataset
from tests.service.receive.samples import (
    BIG,
    COMPRESSED,
    CT,
    DEFLATED,
    EVERY_SYNTAX,
    EXPLICIT,
    IMPLICIT,
    SERIES,
    STUDY,
    ct_slice,
    cuts,
    encoded,
)

EXPECTED = InstanceIdentity(
    sop_class_uid=CT, sop_instance_uid=f"{SERIES}.1", modality="CT", study_uid=STUDY, series_uid=SERIES
)


def read(data: bytes, syntax: str, piece: int = 1 << 20) -> InstanceIdentity:
    reader = DatasetReader(syntax)
    for fragment in cuts(data, piece):
        reader.feed(memoryview(fragment))
    return reader.finish()


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("undefined_length", [False, True])
@pytest.mark.parametrize("syntax", EVERY_SYNTAX)
def test_the_identity_is_found_however_the_bytes_are_cut(syntax, undefined_length, piece):
    assert read(encoded(ct_slice(), syntax, undefined_length=undefined_length), syntax, piece) == EXPECTED


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED, COMPRESSED[0]])
def test_a_dataset_cut_at_any_byte_is_refused_or_lacks_only_whole_elements(syntax):
    data = encoded(ct_slice(pixels=bytes(64)), syntax)
    whole = [size for size in range(len(data)) if _is_read(data[:size], syntax)]
    # Between two elements nothing shows that one is missing; in a deflated stream the end is marked.
    # One zero more reads as padding, and a big endian header begins with one.
    boundaries = {DEFLATED: 0, BIG: 2 * 17}.get(syntax, 17)
    assert len(whole) <= boundaries


def _is_read(data: bytes, syntax: str) -> bool:
    try:
        read(data, syntax)
    except MalformedDataset:
        return False
    return True


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        ("SOPClassUID", r"\(0008,0016\)"),
        ("SOPInstanceUID", r"\(0008,0018\)"),
        ("StudyInstanceUID", r"\(0020,000D\)"),
        ("SeriesInstanceUID", r"\(0020,000E\)"),
    ],
)
def test_what_every_instance_has_must_be_there(keyword, message):
    ds = ct_slice()
    del ds[keyword]
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, ds)
    with pytest.raises(MalformedDataset, match=message):
        read(buffer.getvalue(), EXPLICIT)


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_uid_that_is_too_long_is_told_as_such():
    ds = ct_slice()
    ds.StudyInstanceUID = STUDY + ".1" * ((71 - len(STUDY)) // 2 + 1)
    length = len(ds.StudyInstanceUID)
    with pytest.raises(MalformedDataset, match=rf"\(0020,000D\) has {length} characters, longer than 64"):
        read(encoded(ds, EXPLICIT), EXPLICIT)


def test_identifiers_inside_a_sequence_do_not_count():
    ds = ct_slice()
    ds.ReferencedImageSequence[0].StudyInstanceUID = "9.9.9"
    assert read(encoded(ds, EXPLICIT), EXPLICIT).study_uid == STUDY


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "SOP Class UID"),
        (b"\x08\x00", "2 bytes after its beginning are not an element"),
        (struct.pack("<HH2sH", 0x0008, 0x0016, b"UI", 10) + b"1.2", "cut short"),
        (struct.pack("<HH2sH", 0x0008, 0x0016, b"\x04\0", 0), "no value representation"),
        (struct.pack("<HH2sH", 0x0008, 0x0016, b"UI", 300), "300 bytes long"),
        (struct.pack("<HHL", 0xFFFE, 0xE0DD, 0), "outside of any sequence"),
        (
            struct.pack("<HH2sHL", 0x0008, 0x0005, b"OB", 0, 0xFFFFFFFF),
            "undefined length but is not a sequence",
        ),
        (struct.pack("<HH2sHLHHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF, 0x0008, 0x0016, 0), "should be"),
        (
            struct.pack("<HH2sHLHHL", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF),
            "fragment",
        ),
        (struct.pack("<HH2sH", 0x0008, 0x0016, b"UI", 2) + b"\xff\xff", "not ASCII"),
    ],
)
def test_malformed_bytes_are_refused_with_the_reason(data, message):
    with pytest.raises(MalformedDataset, match=message):
        read(data, EXPLICIT)


def test_endless_nesting_is_refused():
    opening = struct.pack("<HHLHHL", 0x0008, 0x1140, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    with pytest.raises(MalformedDataset, match="deep"):
        read(opening * 3000, IMPLICIT)


def test_a_deflate_bomb_is_refused_without_being_held():
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    element = struct.pack("<HH2sHL", 0x0009, 0x0010, b"OB", 0, 8 << 20)
    bomb = packer.compress(element + bytes(8 << 20)) + packer.flush()
    reader = DatasetReader(DEFLATED, maximum_inflated_bytes=4 << 20)
    with pytest.raises(MalformedDataset, match="inflates to more"):
        reader.feed(bomb)


def test_noise_is_refused_and_nothing_else_is_raised():
    rng = random.Random(4)
    valid = {syntax: encoded(ct_slice(), syntax) for syntax in EVERY_SYNTAX}
    for _ in range(3000):
        syntax = rng.choice(EVERY_SYNTAX)
        data = bytearray(valid[syntax])
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        _is_read(bytes(data), syntax)
