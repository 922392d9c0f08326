"""Reads an instance's identity and checks that it is complete while its bytes stream by; pixels are never decoded."""

import re
import struct
import zlib
from dataclasses import dataclass
from enum import Enum

from service.dimse import elements

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

MAX_DEPTH = 64

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA = 0x7FE00010
_VR = re.compile(rb"[A-Z]{2}")
_UID = re.compile(r"[0-9][0-9.]{0,63}")
_SHORTEST_HEADER = 8
_INFLATED_AT_ONCE = 1 << 20
_LONGEST_UID, _LONGEST_MODALITY = 64, 16
# What some private elements have instead of a VR; like DCMTK, the node then reads a length of two bytes.
_NO_VR = re.compile(rb"  |\0\0|\?\?|[a-z]{2}")


class MalformedDataset(Exception):
    """The bytes are not a complete dataset in the negotiated transfer syntax."""


@dataclass(frozen=True, kw_only=True)
class InstanceIdentity:
    """What every composite instance says about itself (PS3.3 C.12.1, C.7.3.1, C.7.2.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    modality: str
    study_uid: str
    series_uid: str
    patient_id: str = ""  # for the audit trail, and only if the settings ask for it


class _Level(Enum):
    DATASET = "dataset"  # elements
    SEQUENCE = "sequence of undefined length"  # items with elements inside
    UNKNOWN = "sequence of undefined length whose VR is UN"  # items with elements inside
    FRAGMENTS = "encapsulated pixel data"  # items with bytes inside


class DatasetReader:
    """Walks a dataset that arrives in fragments, keeping no more than one element's header."""

    def __init__(
        self,
        transfer_syntax_uid: str,
        *,
        maximum_inflated_bytes: int = 4 << 30,
        reads_patient_id: bool = False,
    ) -> None:
        self._wanted = elements.WANTED | ({elements.PATIENT_ID} if reads_patient_id else frozenset())
        self._inflate = (
            zlib.decompressobj(-zlib.MAX_WBITS) if transfer_syntax_uid == DEFLATED_LITTLE else None
        )
        self._inflated_bytes = 0
        self._maximum_inflated_bytes = maximum_inflated_bytes
        self._order = ">" if transfer_syntax_uid == EXPLICIT_BIG else "<"
        self._tag = struct.Struct(self._order + "HH")
        self._u16 = struct.Struct(self._order + "H")
        self._u32 = struct.Struct(self._order + "L")
        self._levels: list[tuple[_Level, bool]] = [(_Level.DATASET, transfer_syntax_uid == IMPLICIT_LITTLE)]
        self._carried = b""
        self._to_skip = 0
        self._values: dict[int, str] = {}
        self._tag_seen: int | None = None
        self._in_padding = False

    def feed(self, fragment: bytes | memoryview) -> None:
        """Process the next bytes of the dataset.

        Raises:
            MalformedDataset: they are not a dataset in the transfer syntax.
        """
        if self._inflate is None:
            self._walk(memoryview(fragment))
            return
        pending, is_more = bytes(fragment), True
        while is_more and not self._inflate.eof:
            try:
                plain = self._inflate.decompress(pending, _INFLATED_AT_ONCE)
            except zlib.error as error:
                raise MalformedDataset(f"not a deflated dataset: {error}") from error
            pending = self._inflate.unconsumed_tail
            is_more = (
                bool(pending) or len(plain) == _INFLATED_AT_ONCE
            )  # zlib may hold output of what it has read
            self._inflated_bytes += len(plain)
            if self._inflated_bytes > self._maximum_inflated_bytes:
                raise MalformedDataset(f"inflates to more than {self._maximum_inflated_bytes} bytes")
            self._walk(memoryview(plain))

    def finish(self) -> InstanceIdentity:
        """Return the instance's identity, after its last byte has been processed.

        Raises:
            MalformedDataset: the dataset ended too early, or lacks what every instance has.
        """
        if any(self._carried) and len(self._carried) < _SHORTEST_HEADER:
            raise MalformedDataset(f"{len(self._carried)} bytes after {self._last()} are not an element")
        if self._to_skip or any(self._carried) or len(self._levels) > 1:
            raise MalformedDataset(f"the dataset is cut short, in {self._last()} or after it")
        if self._inflate is not None and not self._inflate.eof:
            raise MalformedDataset("the deflated dataset is cut short")
        return InstanceIdentity(
            sop_class_uid=self._uid(elements.SOP_CLASS, "SOP Class UID"),
            sop_instance_uid=self._uid(elements.SOP_INSTANCE, "SOP Instance UID"),
            modality=self._modality(),
            study_uid=self._uid(elements.STUDY, "Study Instance UID"),
            series_uid=self._uid(elements.SERIES, "Series Instance UID"),
            patient_id=self._values.get(elements.PATIENT_ID, ""),
        )

    def _uid(self, tag: int, name: str) -> str:
        value = self._values.get(tag, "")
        if not value:
            raise MalformedDataset(f"{name} {elements.text(tag)} is missing")
        if len(value) > _LONGEST_UID:
            raise MalformedDataset(
                f"{name} {elements.text(tag)} has {len(value)} characters, longer than {_LONGEST_UID}"
            )
        if not _UID.fullmatch(value):
            raise MalformedDataset(f"{name} {elements.text(tag)} is not a UID")
        return value

    def _modality(self) -> str:
        """Return it as stated, or "" if it is missing or not a short text: whether it is a CT is checked later."""
        value = self._values.get(elements.MODALITY, "")
        return value if len(value) <= _LONGEST_MODALITY and value.isprintable() else ""

    def _walk(self, data: memoryview) -> None:
        if self._to_skip >= len(data):
            self._to_skip -= len(data)
            return
        data = data[self._to_skip :]
        if self._carried:
            data = memoryview(self._carried + data)
        position = 0
        if self._in_padding:
            self._pass_padding(data)
            return
        while position < len(data):
            position = self._skim(data, position)
            if position >= len(data):
                break
            following = self._element(data, position)
            if following is None:
                break
            position = following
        self._end_piece(data, position)

    def _end_piece(self, data: memoryview, position: int) -> None:
        if self._in_padding:
            self._pass_padding(data[position:])
            return
        self._to_skip = max(0, position - len(data))
        self._carried = bytes(data[position:])

    def _pass_padding(self, data: memoryview) -> None:
        """Skip zeros after the last element, which are the sender's padding; nothing may follow them."""
        self._carried = b""
        if any(data):
            what = (
                "a file's preamble is not a dataset"
                if self._tag_seen is None
                else "an element should be there"
            )
            raise MalformedDataset(f"zeros after {self._last()}: {what}")

    def _last(self) -> str:
        return "its beginning" if self._tag_seen is None else elements.text(self._tag_seen)

    def _skim(self, data: memoryview, at: int) -> int:
        """Return the position of the first unusual element; ordinary ones are skipped in one loop."""
        level, implicit = self._levels[-1]
        if self._order != "<" or level is not _Level.DATASET:
            return at
        kept = self._values if len(self._levels) == 1 else None
        return (elements.past_implicit if implicit else elements.past_explicit)(data, at, kept)

    def _element(self, data: memoryview, at: int) -> int | None:
        """Return where the next header begins (it may lie beyond ``data``), or None while this one is incomplete."""
        if len(data) - at < 8:
            return None
        group, element = self._tag.unpack_from(data, at)
        tag = group << 16 | element
        if self._levels[-1][0] is not _Level.DATASET:
            return self._item(data, at, tag)
        if not tag and len(self._levels) == 1 and not any(data[at : at + 8]):
            self._in_padding = True
            return None
        self._tag_seen = tag
        if group == 0xFFFE:
            self._close(tag, _ITEM_END)
            return at + 8
        header = self._header(data, at, tag)
        return None if header is None else self._value(data, tag, *header)

    def _header(self, data: memoryview, at: int, tag: int) -> tuple[int, int, bytes] | None:
        """Return where the value begins, its length and its VR (empty if implicit), or None while incomplete."""
        if self._levels[-1][1]:
            return at + 8, self._u32.unpack_from(data, at + 4)[0], b""
        vr = bytes(data[at + 4 : at + 6])
        if vr in elements.SHORT_VRS or _NO_VR.fullmatch(vr):
            return at + 8, self._u16.unpack_from(data, at + 6)[0], vr
        if not _VR.fullmatch(vr):
            raise MalformedDataset(f"{elements.text(tag)} has no value representation: is it in Implicit VR?")
        if len(data) - at < 12:
            return None
        return at + 12, self._u32.unpack_from(data, at + 8)[0], vr

    def _value(self, data: memoryview, tag: int, at: int, length: int, vr: bytes) -> int | None:
        if length == elements.UNDEFINED:
            self._open_undefined(tag, vr)
            return at
        if tag in self._wanted and len(self._levels) == 1:
            return self._keep(data, tag, at, length)
        return at + length

    def _item(self, data: memoryview, at: int, tag: int) -> int | None:
        level, implicit = self._levels[-1]
        length = self._u32.unpack_from(data, at + 4)[0]
        if level is _Level.UNKNOWN and tag == _ITEM and length == elements.UNDEFINED:
            return self._unknown_item(data, at)
        if tag != _ITEM:
            self._close(tag, _SEQUENCE_END)
            return at + 8
        if length != elements.UNDEFINED:
            return at + 8 + int(length)
        if level is _Level.FRAGMENTS:
            raise MalformedDataset("a fragment of the pixel data has no length")
        self._open(_Level.DATASET, implicit)
        return at + 8

    def _unknown_item(self, data: memoryview, at: int) -> int | None:
        """Open an item of a sequence with VR UN: implicit VR (PS3.5 6.2.2), unless its first element has a VR."""
        if len(data) - at < 16:
            return None
        vr = bytes(data[at + 12 : at + 14])
        self._open(_Level.DATASET, vr not in elements.SHORT_VRS and vr not in elements.LONG_VRS)
        return at + 8

    def _open_undefined(self, tag: int, vr: bytes) -> None:
        _, implicit = self._levels[-1]
        if tag == _PIXEL_DATA and not implicit:
            self._open(_Level.FRAGMENTS, implicit)
        elif implicit or vr == b"SQ":
            self._open(_Level.SEQUENCE, implicit)
        elif vr == b"UN":  # PS3.5 6.2.2: its items are in implicit VR little endian
            self._open(_Level.UNKNOWN, True)
        else:
            raise MalformedDataset(f"{elements.text(tag)} has undefined length but is not a sequence")

    def _open(self, level: _Level, implicit: bool) -> None:  # noqa: FBT001
        if len(self._levels) >= MAX_DEPTH:
            raise MalformedDataset(f"sequences are nested more than {MAX_DEPTH} deep")
        self._levels.append((level, implicit))

    def _close(self, tag: int, expected: int) -> None:
        if tag != expected or len(self._levels) == 1:
            if len(self._levels) == 1:
                raise MalformedDataset(f"{elements.text(tag)} outside of any sequence")
            where = f"{elements.text(expected)} or {'an item' if expected == _SEQUENCE_END else 'an element'}"
            raise MalformedDataset(f"{elements.text(tag)} where {where} should be")
        self._levels.pop()

    def _keep(self, data: memoryview, tag: int, value_at: int, length: int) -> int | None:
        if tag == elements.PATIENT_ID:
            return self._keep_patient_id(data, value_at, length)
        if length > 256:
            raise MalformedDataset(f"{elements.text(tag)} is {length} bytes long")
        if value_at + length > len(data):
            return None
        try:
            text = bytes(data[value_at : value_at + length]).decode("ascii").strip("\0 ")
        except UnicodeDecodeError as error:
            raise MalformedDataset(f"{elements.text(tag)} is not ASCII") from error
        if self._values.setdefault(tag, text) != text:
            raise MalformedDataset(f"{elements.text(tag)} occurs twice, with two values")
        return value_at + length

    def _keep_patient_id(self, data: memoryview, value_at: int, length: int) -> int | None:
        """Keep a Patient ID; one that is too long or in another character set is no reason to refuse the image."""
        if length <= 64 and value_at + length > len(data):
            return None
        if length <= 64:
            text = bytes(data[value_at : value_at + length]).decode("ascii", "backslashreplace").strip("\0 ")
            self._values.setdefault(elements.PATIENT_ID, text[:128])
        return value_at + length
