"""Every value under the VR that PS3.6 assigns to its attribute, so that no other VR hides its kind."""

import re
import struct

from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from imaging.deidentify.identifiers import IdentifyingWords
from imaging.deidentify.table import known_vr
from imaging.errors import PARSE_ERRORS

_CHARACTERS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_BYTES = frozenset({"OB", "OW", "UN"})
_WHOLE = frozenset({"SL", "SS", "SV", "UL", "US", "UV", "IS"})
_REAL = frozenset({"FD", "FL", "DS"})
_NUMBER = rb"[ \0]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[ \0]*"
_PACKED = {"SL": "l", "SS": "h", "SV": "q", "UL": "L", "US": "H", "UV": "Q", "FL": "f", "FD": "d"}
_SHORTEST_TEXT, _SHORTEST_TEXT_UNKNOWN = (
    8,
    4,
)  # bytes that are all characters, under a numeric VR and under UN
_BULKY = frozenset({0x7FE00010, 0x00283006})
_AS_STATED = (_CHARACTERS | _BYTES) - {"DS", "IS"}  # nothing is wrong with a value whose VR is right
_LONGEST_LOOKED_AT = 64  # bytes: an identifier is one value, not part of a contour
_FORMS = {
    "DS": re.compile(rb"(?:%b)?(?:\\(?:%b)?)*[ \0]*" % (_NUMBER, _NUMBER)),
    "IS": re.compile(rb"(?:[ \0]*[+-]?\d*[ \0]*)(?:\\[ \0]*[+-]?\d*[ \0]*)*"),
}


def restate(dataset: Dataset) -> None:
    """Give every element of a dataset the VR of PS3.6, at any depth; remove a value that does not fit it.

    Private and unknown attributes are left as they are. A DS or IS that is not a number is removed too.
    """
    for tag, element in list(dataset.items()):
        due = known_vr(tag)
        if not due or (due == element.VR and due in _AS_STATED):
            continue
        _restate_one(dataset, tag, due)
        if due == "SQ" and tag in dataset and dataset[tag].VR == "SQ":
            for item in dataset[tag].value:
                restate(item)


def _restate_one(dataset: Dataset, tag: BaseTag, due: str) -> None:
    element = dataset.get_item(tag)
    stated = element.VR
    if stated not in (None, due) and not (" or " in due and stated in (*due.split(" or "), "UN")):
        _convert(dataset, element, due)
    if tag not in dataset:
        return
    value = _raw(dataset.get_item(tag).value, due)
    if isinstance(value, bytes) and (
        _is_text_for_number(tag, due, stated, value) or not _is_written(due, value)
    ):
        del dataset[tag]


def _raw(value: object, due: str) -> object:
    """Return the bytes of several numbers that pydicom has decoded already; any other value as it is."""
    if isinstance(value, MultiValue | list) and due in _PACKED:
        return struct.pack(f"<{len(value)}{_PACKED[due]}", *value)
    return value


def _is_written(due: str, value: bytes) -> bool:
    """Tell whether the bytes of a DS or IS are numbers."""
    return due not in _FORMS or bool(_FORMS[due].fullmatch(value))


def _is_text_for_number(tag: BaseTag, due: str, stated: str | None, value: bytes) -> bool:
    """Tell whether all bytes of a binary number are characters: a name, date or UID in the place of a number."""
    if tag in _BULKY or not (_PACKED.keys() | {"AT"}).intersection(due.split(" or ")):
        return False
    shortest = _SHORTEST_TEXT_UNKNOWN if stated in ("UN", None) else _SHORTEST_TEXT
    text = value.strip(b" \0")
    return shortest <= len(text) and text.isascii() and text.decode("ascii").isprintable()


def _convert(dataset: Dataset, element: RawDataElement | DataElement, due: str) -> None:
    """Read the bytes under the expected VR: text as text, numbers as numbers; remove anything else."""
    tag, stated = element.tag, str(element.VR)
    if stated == "UN" and due not in _CHARACTERS:
        return  # decoded by PS3.6 when it is read
    if isinstance(element, RawDataElement) and stated in _CHARACTERS | _BYTES and due in _CHARACTERS:
        dataset[tag] = element._replace(VR=due)
        return
    try:
        values = element.value if isinstance(element, DataElement) else dataset[tag].value
        dataset[tag] = DataElement(tag, due, _numbers(values, due))
    except (*PARSE_ERRORS, ArithmeticError):
        del dataset[tag]


def _numbers(value: object, due: str) -> object:
    """Return numbers as pydicom holds them; ValueError or struct.error where a value is not a number of the VR."""
    if due not in _WHOLE | _REAL:
        raise ValueError(f"no number is {due}")
    many = [value] if not isinstance(value, list | tuple | MultiValue) else list(value)
    numbers = [(int if due in _WHOLE else float)(str(one)) for one in many]
    if due in _PACKED:
        struct.pack(f"<{len(numbers)}{_PACKED[due]}", *numbers)
    written = [str(one) for one in numbers] if due in ("DS", "IS") else numbers
    return written[0] if len(written) == 1 else written


def is_number_of(dataset: Dataset, tag: BaseTag, whom: IdentifyingWords) -> bool:
    """Tell whether a number is an identifier or birth date of the patient."""
    element = dataset.get_item(tag)
    raw = element.value
    if isinstance(raw, bytes) and len(raw) > _LONGEST_LOOKED_AT:
        return False
    known = known_vr(tag) if element.VR in (None, "UN") else element.VR
    if known not in _WHOLE | _REAL | {"AS", "TM", "AT"}:
        return False
    if isinstance(raw, bytes) and known in _FORMS:
        return any(_plain(one) in whom.numbers for one in raw.decode("ascii", "replace").split("\\"))
    try:
        value = dataset[tag].value
    except PARSE_ERRORS:
        return True  # nobody can tell what it holds
    many = value if isinstance(value, list | tuple | MultiValue) else [value]
    return any(_plain(one) in whom.numbers for one in many)


def _plain(value: object) -> str:
    text = str(value).strip(" \0")
    return text.removesuffix(".0").lstrip("+")
