"""ROIs: numbers joined over three sequences, names, types, approval."""

from collections import Counter
from dataclasses import dataclass

from imaging.export.profiles import Characters as Letters
from imaging.export.profiles import EmptyRois, ExportProfile, TransferSyntax
from imaging.rtstruct.roi_numbers import whole_number
from imaging.structures import InterpretedType
from imaging.validation.findings import FindingLog, FindingText, Severity
from imaging.validation.modules import OBSERVATIONS, ROI_CONTOURS, ROIS
from imaging.validation.tree import CONTOURS, Level, ParsedFile
from imaging.validation.values import CharacterSet

DEFINED_TYPES = frozenset(InterpretedType)
_NUMBER, _REFERENCED, _NAME, _TYPE = 0x30060022, 0x30060084, 0x30060026, 0x300600A4
_OBSERVATION_NUMBER, _LABEL, _COLOUR = 0x30060082, 0x30060002, 0x3006002A
_APPROVAL, _REVIEW = 0x300E0002, (0x300E0004, 0x300E0005, 0x300E0008)
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


@dataclass(frozen=True, kw_only=True)
class ValidationRequest:
    """What the file must fulfil: the profile, and whether it is the node's own, which must follow it in everything."""

    profile: ExportProfile
    own: bool

    def departure(self) -> Severity:
        """Return the severity of a departure from a cautious choice: no other system's file was ever refused for it."""
        return Severity.ERROR if self.own else Severity.WARNING

    def strict(self) -> Severity:
        """Return the severity of a name that only systems with short plain names refuse."""
        return Severity.ERROR if self.profile.characters is Letters.ASCII else Severity.WARNING


def check_rois(
    document: ParsedFile, characters: CharacterSet, asked: ValidationRequest, log: FindingLog
) -> None:
    """Report what is wrong with the ROIs except their contours, and with the set's syntax, label and approval."""
    root = document.root
    _check_syntax(document, asked, log)
    _check_text(root, _LABEL, characters, asked, log)
    _check_numbers(root, asked, log)
    _check_names(root, characters, asked, log)
    _check_types(root, asked, log)
    _check_colours(root, log)
    _check_approval(root, asked, log)


def _check_syntax(document: ParsedFile, asked: ValidationRequest, log: FindingLog) -> None:
    syntax = document.stream.transfer_syntax_uid
    at = ((0x00020010, 0),)
    expected = _EXPLICIT if asked.profile.transfer_syntax is TransferSyntax.EXPLICIT else _IMPLICIT
    if syntax not in (_IMPLICIT, _EXPLICIT):
        words = FindingText(
            "unusual transfer syntax", "Implicit or Explicit VR Little Endian", syntax, "Convert it"
        )
        log.error("transfer-syntax", at, words)
    elif syntax != expected and asked.own:
        log.error(
            "transfer-syntax",
            at,
            FindingText("not the profile's transfer syntax", expected, syntax, "Convert it"),
        )


def _check_numbers(root: Level, asked: ValidationRequest, log: FindingLog) -> None:
    described = _unique(root, ROIS, _NUMBER, Severity.ERROR, log)
    drawn = _unique(root, ROI_CONTOURS, _REFERENCED, Severity.ERROR, log)
    observed = {number_text(item, _REFERENCED) for item in root.items(OBSERVATIONS)}
    _unique(root, OBSERVATIONS, _OBSERVATION_NUMBER, asked.departure(), log)
    for sequence in (ROI_CONTOURS, OBSERVATIONS):
        for item in root.items(sequence):
            number = number_text(item, _REFERENCED)
            if number and number not in described:
                words = FindingText(
                    "an ROI that is not described",
                    "a number of StructureSetROISequence",
                    number,
                    "Join by number",
                )
                log.error("roi-unknown", item.at(_REFERENCED), words, hex(sequence))
    for number, item in described.items():
        if number not in observed:
            words = FindingText(
                "an ROI without observation", f"an item for ROI {number}", "none", "Write one for each ROI"
            )
            log.report(asked.departure(), "roi-unobserved", root.at(OBSERVATIONS), words)
        if number not in drawn or CONTOURS not in drawn[number].elements:
            empty_allowed = asked.own and asked.profile.empty_rois is EmptyRois.KEEP
            words = FindingText(
                "an ROI without contours", "contours", f"none for ROI {number}", "Leave it out"
            )
            if not empty_allowed:
                log.report(asked.departure(), "roi-empty", item.at(_NUMBER), words)


def _unique(root: Level, sequence: int, tag: int, severity: Severity, log: FindingLog) -> dict[str, Level]:
    """Return the items by number; reports numbers that occur twice."""
    by_number: dict[str, Level] = {}
    for item in root.items(sequence):
        number = number_text(item, tag)
        if number and number in by_number:
            words = FindingText("a number that occurs twice", "a number for each", number, "Renumber them")
            log.report(severity, "number-twice", item.at(tag), words)
        by_number.setdefault(number, item)
    return by_number


def _check_names(root: Level, characters: CharacterSet, asked: ValidationRequest, log: FindingLog) -> None:
    seen: dict[str, str] = {}
    profile = asked.profile
    for item in root.items(ROIS):
        _check_text(item, _NAME, characters, asked, log)
        name = _text(item, _NAME, characters)
        if name is None:
            continue
        at = item.at(_NAME)
        if len(name.rstrip(" ")) > profile.name_length:
            words = FindingText(
                "a long name",
                f"at most {profile.name_length} characters",
                f"'{name}', {len(name)}",
                "Shorten it, and keep its side",
            )
            log.error("name-length", at, words)
        if name.strip().casefold() in seen:
            other = seen[name.strip().casefold()]
            words = FindingText(
                "names that differ in case at most",
                "different names",
                f"'{other}' and '{name}'",
                "Rename one",
            )
            severity = Severity.ERROR if profile.unique_names else Severity.WARNING
            log.report(severity, "name-twice", at, words)
        elif name.strip():
            seen[name.strip().casefold()] = name
        if name != name.lstrip(" ") or not name.strip():
            words = FindingText("space before a name, or no name", "a name", f"'{name}'", "Give it a name")
            log.report(asked.strict(), "name-space", at, words)


def _check_text(
    level: Level, tag: int, characters: CharacterSet, asked: ValidationRequest, log: FindingLog
) -> None:
    """Report several values where one is allowed, and letters that the destination does not accept."""
    text = _text(level, tag, characters)
    if text is None:
        return
    if "\\" in text:
        words = FindingText("several values", "one", f"'{text}'", "Leave the backslash out")
        log.error("values", level.at(tag), words)
    if asked.profile.characters is Letters.ASCII and not all(" " <= c <= "~" for c in text):
        log.error(
            "not-ascii",
            level.at(tag),
            FindingText("letters outside ASCII", "printable ASCII", f"'{text}'", "Rename it"),
        )


def _check_types(root: Level, asked: ValidationRequest, log: FindingLog) -> None:
    external = []
    for item in root.items(OBSERVATIONS):
        found = item.text(_TYPE)
        if found == "EXTERNAL":
            external.append(item)
        if found and found not in DEFINED_TYPES:
            words = FindingText(
                "not a defined term", "a term of PS3.3 C.8.8.8.1", f"'{found}'", "Write ORGAN, or nothing"
            )
            log.report(asked.departure(), "type-unknown", item.at(_TYPE), words)
        elif not found and asked.own:
            words = FindingText("no type", "a term of PS3.3 C.8.8.8.1", "none", "Write ORGAN")
            log.error("type-unknown", item.at(_TYPE), words)
    if asked.profile.one_external and len(external) > 1:
        words = FindingText(
            "several outer contours", "one EXTERNAL", f"{len(external)}", "Make the others ORGAN"
        )
        log.error("external", external[1].at(_TYPE), words)


def _check_approval(root: Level, asked: ValidationRequest, log: FindingLog) -> None:
    status = root.text(_APPROVAL)
    at = root.at(_APPROVAL)
    if asked.own:
        if status != "UNAPPROVED":
            words = FindingText("nobody has approved it", "UNAPPROVED", f"'{status}'", "Write UNAPPROVED")
            log.error("approval", at, words)
        return
    if status not in ("", "APPROVED", "UNAPPROVED", "REJECTED"):
        words = FindingText(
            "no such status", "APPROVED, UNAPPROVED or REJECTED", f"'{status}'", "Write UNAPPROVED"
        )
        log.error("approval", at, words)
    elif status in ("APPROVED", "REJECTED"):
        absent = Counter(tag in root.elements for tag in _REVIEW)[False]
        if absent:
            words = FindingText(
                f"{status} without a review",
                "review date, time and reviewer",
                f"{absent} of them absent",
                "Write them, or UNAPPROVED",
            )
            log.error("approval", at, words)


def _check_colours(root: Level, log: FindingLog) -> None:
    for item in root.items(ROI_CONTOURS):
        parts = item.text(_COLOUR).split("\\") if item.text(_COLOUR) else []
        levels = [whole_number(part) for part in parts]
        if parts and (len(levels) != 3 or any(level is None or not 0 <= level <= 255 for level in levels)):
            words = FindingText(
                "no colour",
                "three numbers from 0 to 255",
                f"'{item.text(_COLOUR)}'",
                "Write red, green and blue",
            )
            log.error("colour", item.at(_COLOUR), words)


def number_text(level: Level, tag: int) -> str:
    """Return a whole number in its plain form, so that 02 and 2 are equal; any other text as it is."""
    text = level.text(tag)
    number = whole_number(text)
    return text if number is None else str(number)


def _text(level: Level, tag: int, characters: CharacterSet) -> str | None:
    """Return the value without padding at its end; None where it is absent or not in the file's character set."""
    raw = level.elements.get(tag)
    return characters.text(raw.value) if raw else None
