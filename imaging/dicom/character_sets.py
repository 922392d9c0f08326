"""The defined terms of Specific Character Set (0008,0005) and the codecs for them (PS3.3 C.12.1.1.2)."""

import re
from collections.abc import Sequence
from types import MappingProxyType

from pydicom import Dataset
from pydicom.charset import CODES_TO_ENCODINGS, ENCODINGS_TO_CODES, default_encoding

from imaging.dicom.patient_study import stated

_ONE_BYTE = {
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "144": "iso_ir_144",
    "127": "iso_ir_127",
    "126": "iso_ir_126",
    "138": "iso_ir_138",
    "148": "iso_ir_148",
    "203": "iso8859_15",
    "13": "shift_jis",
    "166": "iso_ir_166",
}
"""Tables C.12-2 and C.12-3: the number after ISO_IR, and after ISO 2022 IR."""
DEFINED_TERMS = MappingProxyType(
    {
        "ISO_IR 6": "ascii",  # not a defined term, but what an absent one means; ISO 2022 IR 6 is a defined term
        "ISO 2022 IR 6": "ascii",
        **{f"ISO_IR {number}": codec for number, codec in _ONE_BYTE.items()},
        **{f"ISO 2022 IR {number}": codec for number, codec in _ONE_BYTE.items()},
        # Table C.12-4, with code extensions
        "ISO 2022 IR 87": "iso2022_jp",
        "ISO 2022 IR 159": "iso2022_jp_2",
        "ISO 2022 IR 149": "euc_kr",
        "ISO 2022 IR 58": "iso_ir_58",
        # Table C.12-5, without code extensions
        "ISO_IR 192": "utf_8",
        "GB18030": "gb18030",
        "GBK": "gbk",
    }
)


def terms_of(value: bytes) -> tuple[str, ...]:
    """Return the terms of a Specific Character Set value.

    An empty first term means the default repertoire; an empty value gives no terms.
    """
    terms = tuple(part.decode("ascii", "replace").strip(" \0") for part in value.split(b"\\"))
    return tuple(term or "ISO_IR 6" for term in terms) if any(terms) else ()


def codecs_of(terms: Sequence[str]) -> tuple[str, ...] | None:
    """Return the Python codecs of these terms, ASCII for no terms; None where one of them is not a defined term."""
    if any(term not in DEFINED_TERMS for term in terms):
        return None
    return tuple(dict.fromkeys(DEFINED_TERMS[term] for term in terms)) or ("ascii",)


def codecs_for_writing(header: Dataset) -> tuple[str, ...]:
    """Return the codecs in which new text can be written beside the CT's.

    Only ASCII where its character set is unknown.
    """
    first, *others = codecs_of(terms_of(stated(header, "SpecificCharacterSet"))) or ("ascii",)
    return (first, *(codec for codec in others if codec in ENCODINGS_TO_CODES))  # those pydicom can escape to


def character_set_of(header: Dataset) -> str:
    """Return the CT's Specific Character Set for a message."""
    return stated(header, "SpecificCharacterSet").decode("ascii", "replace").strip() or "ASCII"


def is_encodable(text: str, header: Dataset) -> bool:
    """Tell whether one codec of the CT's character set can encode every letter of the text."""
    return text.isascii() or any(_has_letters(codec, text) for codec in codecs_for_writing(header))


def _has_letters(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def decoded(value: bytes, codecs: Sequence[str]) -> str | None:
    """Return the text of a value in these codecs, in the first one unless an escape sequence selects another.

    None where bytes are not valid in them, or an escape sequence selects a set that is not declared.
    """
    if b"\x1b" not in value:
        return next((text for codec in codecs if (text := _decoded(value, codec)) is not None), None)
    first, *escaped = re.split(rb"(?=\x1b)", value)
    texts = [_decoded(first, codecs[0] if codecs else "ascii"), *(_escaped(part, codecs) for part in escaped)]
    return None if None in texts else "".join(text for text in texts if text)


def _escaped(part: bytes, codecs: Sequence[str]) -> str | None:
    """Return the text of bytes that begin with an escape sequence (PS3.5 6.1.2.5)."""
    for code, codec in {**CODES_TO_ENCODINGS, b"\x1b-b": "iso8859_15"}.items():
        if not part.startswith(code):
            continue
        if codec in ("iso2022_jp", "iso2022_jp_2"):
            return _decoded(part, codec) if codec in codecs else None
        if codec == default_encoding:
            return _decoded(part[len(code) :], "ascii")
        return _decoded(part[len(code) :], codec) if codec in codecs else None
    return None


def _decoded(value: bytes, codec: str) -> str | None:
    try:
        return value.decode(codec)
    except UnicodeDecodeError:
        return None
