"""Datasets as systems in use write them: kept where DCMTK's storescp keeps them, and then read right.

Else a true reason.
"""

import struct

import numpy as np
import pytest

from imaging.ct.series import SourceFile, read_ct
from tests.imaging.ct_slices import part10, slice_dataset
from tests.service.receive.client import pdvs
from tests.service.receive.raw_requests import association, command, context, element
from tests.service.receive.samples import CT, EXPLICIT, IMPLICIT
from tests.service.receive.test_odd_requests import RawPeer, store_fields, storescp

__all__ = ["storescp"]
pytestmark = pytest.mark.network
UNDEFINED = 0xFFFFFFFF
LONG = (b"OB", b"OW", b"UN", b"SQ", b"ZZ")
ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)
ITEM_END, SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0), struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
POSITIONS = ("-3", "0", "3")


def explicit(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    size = len(value) if length is None else length
    return head + (struct.pack("<HL", 0, size) if vr in LONG else struct.pack("<H", size)) + value


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def stored(number: int) -> np.ndarray:
    return np.arange(number, number + 24, dtype=np.int16).reshape(4, 6)


def plain(number: int) -> bytes:
    """Gives the bytes of a small CT slice in Explicit VR Little Endian."""
    dataset = slice_dataset(stored(number), ("-10.25", "20.5", POSITIONS[number - 1]), number=number)
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "A"
    data = part10(dataset)
    return data[data.index(struct.pack("<HH2sH", 8, 5, b"CS", 10)) :]


def in_front_of(tag: int, addition: bytes, data: bytes) -> bytes:
    at = data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
    return data[:at] + addition + data[at:]


def moved_behind(tag: int, data: bytes) -> bytes:
    """Gives the dataset with one short element behind the pixels."""
    at = data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
    stop = at + 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    return data[:at] + data[stop:] + data[at:stop]


STUDY, PRIVATE = 0x0020000D, explicit(0x00190010, b"LO", b"MAKER ")
PIXELS = struct.pack("<HH2s", 0x7FE0, 0x10, b"OW")
CODE_IMPLICIT, CODE_EXPLICIT = implicit(0x00080100, b"AB"), explicit(0x00080100, b"SH", b"AB")


def unknown(item: bytes) -> bytes:
    value = ITEM + item + ITEM_END + SEQUENCE_END
    return explicit(0x00191020, b"UN", value, UNDEFINED)


def pixels_first(data: bytes) -> bytes:
    at = data.rindex(PIXELS)
    return data[at:] + data[:at]


KEPT_BY_BOTH = {
    "plain": lambda d: d,
    "a private element with a blank VR": lambda d: in_front_of(
        STUDY, PRIVATE + explicit(0x00191010, b"  ", b"abcd"), d
    ),
    "an empty one with a blank VR": lambda d: in_front_of(
        STUDY, PRIVATE + explicit(0x00191010, b"  ", b""), d
    ),
    "a standard element with a blank VR": lambda d: in_front_of(
        STUDY, explicit(0x00181030, b"  ", b"abcd"), d
    ),
    "a VR of NUL": lambda d: in_front_of(STUDY, PRIVATE + explicit(0x00191010, b"\0\0", b"abcd"), d),
    "question marks as VR": lambda d: in_front_of(STUDY, PRIVATE + explicit(0x00191010, b"??", b"abcd"), d),
    "a VR in small letters": lambda d: in_front_of(STUDY, PRIVATE + explicit(0x00191010, b"lo", b"abcd"), d),
    "a VR of a later standard": lambda d: in_front_of(
        STUDY, PRIVATE + explicit(0x00191010, b"ZZ", b"abcd"), d
    ),
    "two zeros after": lambda d: d + bytes(2),
    "four zeros after": lambda d: d + bytes(4),
    "eight zeros after": lambda d: d + bytes(8),
    "a thousand zeros after": lambda d: d + bytes(1000),
    "trailing padding": lambda d: d + explicit(0xFFFCFFFC, b"OB", bytes(10)),
    "group 0002 in front": lambda d: explicit(0x00020010, b"UI", b"1.2.840.10008.1.2.2\0") + d,
    "group 0002 with its length": lambda d: (
        explicit(0x00020000, b"UL", b"\x1c\0\0\0") + explicit(0x00020010, b"UI", b"1.2.840.10008.1.2\0") + d
    ),
    "group 0000 in front": lambda d: explicit(0x00000002, b"UI", b"1.2\0") + d,
    "position behind the pixels": lambda d: moved_behind(0x00200032, d),
    "study behind the pixels": lambda d: moved_behind(STUDY, d),
    "an element behind the pixels": lambda d: d + explicit(0x00181030, b"LO", b"abcd"),
    "UN with implicit items": lambda d: in_front_of(STUDY, PRIVATE + unknown(CODE_IMPLICIT), d),
    "UN of known length": lambda d: in_front_of(STUDY, PRIVATE + explicit(0x00191020, b"UN", b"abcd"), d),
    "group lengths": lambda d: in_front_of(STUDY, explicit(0x00200000, b"UL", bytes(4)), d),
}
KEPT_HERE = {
    "pixels in front": pixels_first,
    "UN with explicit items": lambda d: in_front_of(STUDY, PRIVATE + unknown(CODE_EXPLICIT), d),
    "UN with an explicit long item": lambda d: in_front_of(
        STUDY, PRIVATE + unknown(CODE_EXPLICIT + explicit(0x00291010, b"OB", b"abcd")), d
    ),
    "an odd length": lambda d: in_front_of(STUDY, explicit(0x00181030, b"LO", b"abc"), d),
    "one zero behind": lambda d: d + bytes(1),
}


def sent(port: int, data: bytes, number: int, syntax: str = EXPLICIT) -> tuple[int, str]:
    """Gives status and comment of a C-STORE of these bytes."""
    uid = f"1.2.3.4.{number}".encode()
    with RawPeer(port) as peer:
        peer.socket.sendall(association(contexts=[context(1, CT.encode(), syntax.encode())]))
        assert peer.pdu()[0] == 2
        fields = store_fields(instance=element(0x1000, uid + b"\0" * (len(uid) % 2)))
        peer.socket.sendall(
            pdvs(1, command(*fields), is_command=True) + pdvs(1, data, is_command=False, size=100)
        )
        response = peer.response()
        peer.release()
    return response.Status, response.get("ErrorComment", "")


def read_back(node) -> tuple[np.ndarray, object]:
    files = [SourceFile(name=path.name, data=path.read_bytes()) for path in node.files()]
    series = read_ct(files)
    return series.volume.array_zyx, series


@pytest.mark.parametrize("name", [*KEPT_BY_BOTH, *KEPT_HERE])
def test_it_is_kept_and_read_right(node, storescp, name):
    change = (KEPT_BY_BOTH | KEPT_HERE)[name]
    for number in (1, 2, 3):
        data = change(plain(number))
        if name in KEPT_BY_BOTH:
            assert sent(storescp, data, number)[0] == 0
        assert sent(node.port, data, number) == (0, "")
        assert any(path.read_bytes().endswith(data) for path in node.files())
    hounsfield, series = read_back(node)
    assert (hounsfield == np.stack([stored(n) for n in (1, 2, 3)]) - 1024).all()
    assert [s.position for s in series.slices] == [("-10.25", "20.5", z) for z in POSITIONS]
    assert series.header.PatientName == "A"
    assert series.header.PatientID == "P1"
    (job,) = node.job_rows()
    assert job.slice_count == 3


@pytest.mark.parametrize("padding", [3, 8, 1000])
def test_zeros_behind_an_implicit_dataset(node, padding):
    dataset = slice_dataset(stored(1), number=1)
    data = part10(dataset, IMPLICIT)
    data = data[data.index(struct.pack("<HHL", 8, 5, 10)) :] + bytes(padding)
    assert sent(node.port, data, 1, IMPLICIT) == (0, "")


def without(tag: int, data: bytes) -> bytes:
    at = data.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
    return data[:at] + data[at + 8 + int.from_bytes(data[at + 6 : at + 8], "little") :]


REFUSED = {
    "zeros with something behind": (
        lambda d: d + bytes(20) + b"x",
        "zeros after (7FE0,0010): an element should be there",
    ),
    "a whole file": (
        lambda d: bytes(128) + b"DICM" + d,
        "zeros after its beginning: a file's preamble is not a dataset",
    ),
    "three bytes behind": (lambda d: d + b"abc", "3 bytes after (7FE0,0010) are not an element"),
    "cut pixels": (lambda d: d[:-6], "the dataset is cut short, in (7FE0,0010) or after it"),
    "an item's end outside of a sequence": (
        lambda d: in_front_of(STUDY, ITEM_END, d),
        "(FFFE,E00D) outside of any sequence",
    ),
    "an implicit element": (
        lambda d: in_front_of(STUDY, implicit(0x00181030, b"abcd"), d),
        "(0018,1030) has no value representation: is it in Implicit VR?",
    ),
    "two studies": (
        lambda d: in_front_of(STUDY, explicit(STUDY, b"UI", b"1.2.3.77"), d),
        "(0020,000D) occurs twice, with two values",
    ),
    "no series": (lambda d: without(0x0020000E, d), "Series Instance UID (0020,000E) is missing"),
    "a long series UID": (
        lambda d: without(0x0020000E, d).replace(
            PIXELS, explicit(0x0020000E, b"UI", b"1." * 35 + b"1\0") + PIXELS
        ),
        "Series Instance UID (0020,000E) has 71 characters, longer than 64",
    ),
    "a series UID with letters": (
        lambda d: without(0x0020000E, d).replace(PIXELS, explicit(0x0020000E, b"UI", b"1.2.A") + PIXELS),
        "Series Instance UID (0020,000E) is not a UID",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_the_true_reason(node, name):
    change, reason = REFUSED[name]
    assert sent(node.port, change(plain(1)), 1) == (0xC000, reason[:64])
    assert node.files() == []


@pytest.mark.parametrize(
    "change", [lambda d: without(0x00080060, d), lambda d: d.replace(b"CS\2\0CT", b"CS\2\0ct")]
)
def test_a_modality_that_is_none_is_judged_where_images_are_read(node, change):
    assert sent(node.port, change(plain(1)), 1) == (0, "")
