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
        (struct.pack("<HH2sH", 0x0008, 0x0016, b"UI", 256), "cut short"),
        (struct.pack("<HH2sH", 0x0008, 0x0016, b"UI", 257), "257 bytes long"),
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


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_zeros_after_the_last_element_are_padding_and_nothing_may_follow_them(syntax, piece):
    data = encoded(ct_slice(pixels=bytes(64)), syntax)
    for zeros in (1, 7, 8, 9, 1000):
        assert read(data + bytes(zeros), syntax, piece) == EXPECTED
    with pytest.raises(MalformedDataset, match=r"zeros after \(.*\): an element should be there"):
        read(data + bytes(24) + data, syntax, piece)
    with pytest.raises(
        MalformedDataset, match="zeros after its beginning: a file's preamble is not a dataset"
    ):
        read(bytes(128) + b"DICM" + data, syntax, piece)


def test_zeros_inside_an_item_are_no_padding():
    element = struct.pack("<HH2sH", 0x0008, 0x1155, b"UI", 0)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + bytes(8) + element
    ends = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    sequence = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + item + ends
    assert read(sequence + encoded(ct_slice(), EXPLICIT), EXPLICIT) == EXPECTED


def test_sequences_may_be_nested_as_deep_as_is_stated_and_no_deeper():
    sequence, item = (
        struct.pack("<HHL", 0x0008, 0x1140, 0xFFFFFFFF),
        struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF),
    )
    deepest = (sequence + item) * 31 + sequence
    with pytest.raises(MalformedDataset, match="cut short"):
        read(deepest, IMPLICIT)
    for deeper in (deepest + item, (sequence + item) * 3000):
        with pytest.raises(MalformedDataset, match="nested more than 64 deep"):
            read(deeper, IMPLICIT)


def test_a_uid_has_at_most_64_characters_and_a_modality_16():
    ds = ct_slice()
    ds.StudyInstanceUID, ds.Modality = "1." * 31 + "99", "SIXTEEN_LETTERS_"
    found = read(encoded(ds, EXPLICIT), EXPLICIT)
    assert (found.study_uid, found.modality) == (ds.StudyInstanceUID, ds.Modality)


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_modality_of_17_characters_is_none():
    ds = ct_slice()
    ds.Modality = "SEVENTEEN LETTERS"
    assert read(encoded(ds, EXPLICIT), EXPLICIT).modality == ""


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize(("length", "kept"), [(64, 64), (66, 0)])
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_a_patient_id_is_kept_up_to_64_bytes_if_it_is_asked_for(length, kept, piece):
    ds = ct_slice()
    ds.PatientID = "P" * length
    reader = DatasetReader(EXPLICIT, reads_patient_id=True)
    for fragment in cuts(encoded(ds, EXPLICIT), piece):
        reader.feed(fragment)
    assert reader.finish().patient_id == "P" * kept


@pytest.mark.parametrize("more", [0, 65, 97])
def test_a_deflated_dataset_just_longer_than_what_is_inflated_at_once_is_whole(more):
    """Zlib keeps the end of its output back while there is no room, also where it has read all its input."""
    plain = encoded(ct_slice(pixels=b""), EXPLICIT)
    pixels = bytes((4 << 20) + more - len(plain))
    plain = plain[:-4] + struct.pack("<L", len(pixels)) + pixels
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    assert read(packer.compress(plain) + packer.flush(), DEFLATED) == EXPECTED


def test_a_deflate_bomb_is_refused_without_being_held():
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    element = struct.pack("<HH2sHL", 0x0009, 0x0010, b"OB", 0, 8 << 20)
    bomb = packer.compress(element + bytes(8 << 20)) + packer.flush()
    DatasetReader(DEFLATED, maximum_inflated_bytes=len(element) + (8 << 20)).feed(bomb)
    for maximum in (4 << 20, len(element) + (8 << 20) - 1):
        reader = DatasetReader(DEFLATED, maximum_inflated_bytes=maximum)
        with pytest.raises(MalformedDataset, match=f"inflates to more than {maximum} bytes"):
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
