"""A structure set as raw values: nothing is normalised, so that what is wrong in the bytes stays visible."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from pydicom.datadict import dictionary_VR

from imaging.dicom.elements import (
    UNDEFINED,
    Element,
    Encoding,
    MalformedStream,
    Stream,
    elements,
    end_of,
    inside,
    items,
    open_stream,
)
from imaging.validation.findings import FindingLog, FindingText, Path

CONTOURS = 0x30060040
_ITEM_END = b"\xfe\xff\x0d\xe0"
_PADDING = 0xFFFCFFFC
_DEEPEST = 32  # levels of nested sequences; a structure set has six
_KNOWN_VRS = frozenset(
    b"AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
)


class Extent(NamedTuple):
    """The place of a sequence that is read later."""

    element: Element
    end: int
    encoding: Encoding


class RawElement(NamedTuple):
    """One element: its VR, its value's bytes, or its items; or, for contours, where it lies."""

    vr: str
    value: bytes
    items: "tuple[Level, ...]"
    extent: Extent | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Level:
    """A dataset or an item: its elements by tag, and the path to it."""

    path: Path
    elements: Mapping[int, RawElement]

    def text(self, tag: int) -> str:
        """Return the value as ASCII without padding; "" where it is absent."""
        raw = self.elements.get(tag)
        return raw.value.decode("ascii", "replace").strip(" \0") if raw else ""

    def items(self, tag: int) -> "tuple[Level, ...]":
        """Return the items of a sequence; none where it is absent."""
        raw = self.elements.get(tag)
        return raw.items if raw else ()

    def at(self, tag: int) -> Path:
        """Return the path to an element of this level, whether it is present or not."""
        return (*self.path, (tag, 0))


@dataclass(frozen=True, kw_only=True, eq=False)
class ParsedFile:
    """A file: where its dataset lies, its meta information, and everything in it except the contours."""

    stream: Stream
    meta: Level
    root: Level


class TreeReader:
    """Walks the bytes of one file and reports what is wrong with their layout."""

    def __init__(self, stream: Stream, log: FindingLog) -> None:
        """Take the bytes and the log to report to."""
        self.stream, self._log = stream, log

    def level(self, start: int, end: int, encoding: Encoding, path: Path) -> Level:
        """Return the elements between two offsets; sequences are read with their items, except the contours."""
        if len(path) > _DEEPEST:
            raise MalformedStream(f"sequences are nested deeper than {_DEEPEST}, at byte {start}")
        found: dict[int, RawElement] = {}
        for element, stop in self.walk(start, end, encoding, path):
            found[element.tag] = self._raw(element, stop, encoding, path)
        return Level(path=path, elements=found)

    def walk(self, start: int, end: int, encoding: Encoding, path: Path) -> list[tuple[Element, int]]:
        """Return the complete elements between two offsets, with the offset after each; report faults in the rest."""
        data, position, last, whole = self.stream.data, start, -1, []
        for element in elements(data, start, end, encoding):
            stop = end_of(data, element, end, encoding, _DEEPEST)
            if stop > end or element.tag <= last:
                if stop > end or not data[position:end].strip(b"\0 "):
                    break
                self._out_of_order(element.tag, last, path)
            if element.length & 1 and element.length != UNDEFINED:
                self._odd(element, path)
            if encoding.explicit:
                self._check_vr(element, path)
            whole.append((element, stop))
            position, last = stop, element.tag
        rest = end - position
        if rest and not (rest == 8 and data[position : position + 4] == _ITEM_END):
            self._remainder(position, rest, last, path)
        return whole

    def _raw(self, element: Element, stop: int, encoding: Encoding, path: Path) -> RawElement:
        data = self.stream.data
        vr = element.vr.decode("ascii", "replace") if encoding.explicit else _dictionary_vr(element.tag)
        if vr == "UN":
            vr = _dictionary_vr(element.tag)
        if element.tag == CONTOURS:
            return RawElement("SQ", b"", (), Extent(element, stop, inside(element.vr, encoding)))
        if vr != "SQ" and element.length != UNDEFINED:
            return RawElement(vr, data[element.start : stop], (), None)
        within = inside(element.vr, encoding)
        levels = (
            self.level(first, last, within, (*path, (element.tag, number)))
            for number, (first, last) in enumerate(items(data, element, stop, within), 1)
        )
        return RawElement("SQ", b"", tuple(levels), None)

    def _check_vr(self, element: Element, path: Path) -> None:
        vr, expected = element.vr, _dictionary_vr(element.tag)
        at = (*path, (element.tag, 0))
        if vr == b"UN":
            words = FindingText(
                "a value without its type", expected, "VR UN", "Send it in Implicit VR Little Endian"
            )
            if expected == "UN":
                self._log.warning("un-private", at, words._replace(expected="a value representation"))
            else:
                self._log.error("un", at, words)
        elif vr not in _KNOWN_VRS:
            words = FindingText(
                "the value representation is none", expected, repr(vr)[1:], "Write the file again"
            )
            self._log.error("bad-vr", at, words)
        elif expected not in ("UN", vr.decode()) and vr.decode() not in expected:
            words = FindingText("another value representation", expected, vr.decode(), "Write the file again")
            self._log.warning("other-vr", at, words)

    def _odd(self, element: Element, path: Path) -> None:
        words = FindingText("odd length", "an even number of bytes", f"{element.length}", "Pad the value")
        self._log.error("odd-length", (*path, (element.tag, 0)), words)

    def _out_of_order(self, tag: int, last: int, path: Path) -> None:
        words = FindingText(
            "elements out of order",
            "ascending tags",
            f"it behind {last >> 16:04X},{last & 0xFFFF:04X}",
            "Write the file again",
        )
        self._log.error("tag-order", (*path, (tag, 0)), words)

    def _remainder(self, position: int, rest: int, last: int, path: Path) -> None:
        found = f"{rest} bytes from byte {position} that are no whole element"
        remedy = "Cut them off; if the file was cut off instead, send it again"
        words = FindingText("bytes behind the last element", "the end", found, remedy)
        self._log.error("trailing-bytes", (*path, (last, 0)) if last >= 0 else path, words)


def read_document(data: bytes, log: FindingLog) -> ParsedFile:
    """Return the file's values; raises MalformedStream where the bytes are not DICOM."""
    stream = open_stream(data)
    reader = TreeReader(stream, log)
    preamble = 132 if data[128:132] == b"DICM" else 0
    whole = TreeReader(
        Stream(data=data, start=0, encoding=Encoding(True, True), transfer_syntax_uid="", header_end=0), log
    )
    meta = whole.level(preamble, stream.header_end, Encoding(True, True), ())
    root = reader.level(stream.start, len(stream.data), stream.encoding, ())
    if not root.elements:
        raise MalformedStream("there is no dataset")
    if _PADDING in root.elements:
        words = FindingText(
            "padding behind the dataset",
            "the end",
            "Data Set Trailing Padding",
            "Leave it out: some imports stop there",
        )
        log.warning("padding", ((_PADDING, 0),), words)
    return ParsedFile(stream=stream, meta=meta, root=root)


@cache
def _dictionary_vr(tag: int) -> str:
    """Return the VR of a tag in the standard's dictionary, "UN" where it is not listed."""
    if not tag & 0xFFFF:
        return "UL"
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"
