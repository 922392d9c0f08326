"""Whether each value is allowed by its value representation (PS3.5 6.2) and in characters that the file declares."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from pydicom.datadict import dictionary_has_tag, dictionary_VM

from imaging.dicom.character_sets import codecs_of, decoded, terms_of
from imaging.validation.findings import FindingLog, FindingText, Path, Severity
from imaging.validation.tree import Level, RawElement

_NUMBER = re.compile(rb" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *")
_TIME = re.compile(rb"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)? *")
_RULES: dict[str, tuple[int, re.Pattern[bytes] | None, str]] = {
    "AE": (16, None, "at most 16 characters"),
    "AS": (4, re.compile(rb"\d{3}[DWMY]"), "an age such as 065Y"),
    "CS": (16, re.compile(rb"[A-Z0-9_ ]*"), "at most 16 capitals, digits, spaces and underscores"),
    "DA": (8, re.compile(rb"\d{8}"), "a date of the calendar as YYYYMMDD"),
    "DS": (16, _NUMBER, "a decimal number of at most 16 bytes"),
    "IS": (12, re.compile(rb" *[+-]?\d+ *"), "a whole number of at most 12 bytes"),
    "LO": (64, None, "at most 64 characters"),
    "LT": (10240, None, "at most 10240 characters"),
    "SH": (16, None, "at most 16 characters"),
    "ST": (1024, None, "at most 1024 characters"),
    "TM": (14, _TIME, "a time of the day as HHMMSS.FFFFFF"),
    "UI": (
        64,
        re.compile(rb"(0|[1-9]\d*)(\.(0|[1-9]\d*))*"),
        "numbers without leading zeros, at most 64 characters",
    ),
}
_TEXTS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_ONE_VALUE = frozenset({"LT", "ST", "UT"})
_CONTROL_IN_TEXT = b"\t\n\f\r\x1b"  # PS3.5 6.1.3
_TOO_LONG, _MALFORMED = "too-long", "malformed"
_CHARACTER_SET = 0x00080005


@dataclass(frozen=True, kw_only=True)
class CharacterSet:
    """The codecs of a file's Specific Character Set (0008,0005); none where they are unknown.

    `given` are the CT's own values by tag. A fault in the same text in the file is only a warning: nobody but the
    sender can correct it, and the destination already has it from the images.
    """

    encodings: tuple[str, ...]
    declared: bool
    given: Mapping[int, bytes] = field(default_factory=dict)

    def text(self, value: bytes) -> str | None:
        """Return the value as text without padding; None where it is not in these characters."""
        value = value.rstrip(b" \0")
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        return decoded(value, self.encodings)

    def severity(self, at: Path, value: bytes) -> Severity:
        """Return the severity of the text at this place being unreadable."""
        given = self.given.get(at[0][0]) if len(at) == 1 else None
        is_given = given is not None and given.rstrip(b" \0") == value.rstrip(b" \0")
        return Severity.WARNING if is_given else Severity.ERROR


def characters_of(root: Level, log: FindingLog, given: Mapping[int, bytes] | None = None) -> CharacterSet:
    """Return the file's character set; report an unknown one.

    `given` are the CT's own values by tag.
    """
    raw = root.elements.get(_CHARACTER_SET)
    terms = terms_of(raw.value) if raw else ()
    codecs = codecs_of(terms)
    characters = CharacterSet(encodings=codecs or (), declared=bool(terms), given=given or {})
    if raw is not None and codecs is None:
        expected, found = "a defined term of PS3.3 C.12.1.1.2", "\\".join(terms)
        words = FindingText("unknown character set", expected, found, "Write ISO_IR 192, or the right one")
        at = root.at(_CHARACTER_SET)
        log.report(characters.severity(at, raw.value), "charset-unknown", at, words)
    return characters


def check_values(
    root: Level, characters: CharacterSet, given_uids: frozenset[bytes], log: FindingLog
) -> None:
    """Report every value that its value representation does not allow.

    What was copied from the CT is the clinic's own: faults in patient and study texts, and in UIDs of `given_uids`, are
    warnings.
    """
    for path, tag, raw in _elements(root):
        at = (*path, (tag, 0))
        if raw.vr in _TEXTS:
            _check_characters(raw, at, characters, log)
            _check_control(raw, at, characters, log)
            _check_multiplicity(raw, at, characters, log)
        if raw.vr in _RULES and raw.value:
            _check(raw, at, characters, given_uids, log)


def _elements(level: Level) -> Iterator[tuple[Path, int, RawElement]]:
    for tag, raw in level.elements.items():
        if raw.items:
            for item in raw.items:
                yield from _elements(item)
        elif raw.extent is None:
            yield level.path, tag, raw


def _check(
    raw: RawElement, at: Path, characters: CharacterSet, given_uids: frozenset[bytes], log: FindingLog
) -> None:
    longest, pattern, expected = _RULES[raw.vr]
    value = raw.value.rstrip(b"\0") if raw.vr == "UI" else raw.value
    parts, lengths = _parts(value, raw.vr, characters)
    for part, length in zip(parts, lengths, strict=True):
        bare = part.rstrip(b" ") if raw.vr != "UI" else part
        too_long = length > longest
        fits = not bare or pattern is None or pattern.fullmatch(bare)
        if not too_long and fits and not (raw.vr == "DA" and bare and not _is_date(bare)):
            continue
        tag = at[-1][0]
        severity = _severity(tag, raw.vr, part, given_uids)
        shown = f"'{bare.decode('ascii', 'replace')}'" if _may_be_shown(tag, raw.vr) else "another value"
        found = f"{length} characters" if too_long else shown
        words = FindingText(
            "the value does not fit its type",
            f"{raw.vr}, {expected}",
            found,
            "Correct it where it was entered or written",
        )
        code = _TOO_LONG if too_long else _MALFORMED
        log.report(severity, f"{code}-{raw.vr.lower()}", at, words)


def _parts(value: bytes, vr: str, characters: CharacterSet) -> tuple[list[bytes], list[int]]:
    """Return the values and how many characters each has; a backslash in a two-byte letter separates nothing."""
    text = characters.text(value) if vr in _TEXTS else None
    if text is None:
        bytes_apart = [value] if vr in _ONE_VALUE else value.split(b"\\")
        return bytes_apart, [len(part.rstrip(b" ") if vr != "UI" else part) for part in bytes_apart]
    texts = [text] if vr in _ONE_VALUE else text.split("\\")
    return [part.encode() for part in texts], [len(part.rstrip(" ")) for part in texts]


def _is_date(value: bytes) -> bool:
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def _severity(tag: int, vr: str, part: bytes, given_uids: frozenset[bytes]) -> Severity:
    if vr == "UI":
        return Severity.WARNING if part in given_uids else Severity.ERROR
    return Severity.ERROR if tag >> 16 == 0x3006 or vr in ("DS", "IS") else Severity.WARNING


def _may_be_shown(tag: int, vr: str) -> bool:
    """Tell whether a value may be quoted: messages hold no patient names or numbers."""
    return tag >> 16 in (0x3006, 0x300C) or vr in ("UI", "CS")


def _check_control(raw: RawElement, at: Path, characters: CharacterSet, log: FindingLog) -> None:
    allowed = _CONTROL_IN_TEXT if raw.vr in _ONE_VALUE else b"\x1b"
    control = {byte for byte in raw.value.rstrip(b"\0") if byte < 0x20 and byte not in allowed}
    text = characters.text(raw.value) or ""
    control |= {ord(c) for c in text if unicodedata.category(c) == "Cc" and ord(c) >= 0x7F}
    if control:
        found = ", ".join(f"byte {byte:02X}" for byte in sorted(control))
        words = FindingText(
            "control characters in a text", "none of them", found, "Correct it where it was entered"
        )
        log.warning("control-characters", at, words)


def _check_multiplicity(raw: RawElement, at: Path, characters: CharacterSet, log: FindingLog) -> None:
    tag = at[-1][0]
    if raw.vr in _ONE_VALUE or tag >> 16 == 0x3006 or not dictionary_has_tag(tag):  # check_rois looks at 3006
        return
    text = characters.text(raw.value)
    if text is not None and "\\" in text and dictionary_VM(tag) == "1":
        found = f"{text.count(chr(92)) + 1} values"
        words = FindingText(
            "a backslash separates values", "one value", found, "Correct it where it was entered"
        )
        log.warning("values", at, words)


def _check_characters(raw: RawElement, at: Path, characters: CharacterSet, log: FindingLog) -> None:
    if raw.value.isascii() and b"\x1b" not in raw.value:
        return
    if not characters.declared:
        words = FindingText(
            "letters outside ASCII", "Specific Character Set (0008,0005)", "none", "Declare the character set"
        )
        log.report(characters.severity(at, raw.value), "charset-missing", at, words)
    elif characters.encodings and characters.text(raw.value) is None:
        words = FindingText(
            "bytes outside the declared character set",
            f"{', '.join(characters.encodings)}",
            "others",
            "Declare the right one",
        )
        log.report(characters.severity(at, raw.value), "charset-wrong", at, words)
