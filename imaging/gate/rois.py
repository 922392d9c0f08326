"""ROIs: numbers joined over three sequences, names, types, approval."""

from collections import Counter
from dataclasses import dataclass

from imaging.gate.findings import Log, Severity, Words
from imaging.gate.modules import OBSERVATIONS, ROI_CONTOURS, ROIS
from imaging.gate.tree import CONTOURS, Document, Level
from imaging.gate.values import Characters
from imaging.profiles import Characters as Letters
from imaging.profiles import EmptyRois, ExportProfile, TransferSyntax
from imaging.structures import InterpretedType

DEFINED_TYPES = frozenset(InterpretedType)
_NUMBER, _REFERENCED, _NAME, _TYPE = 0x30060022, 0x30060084, 0x30060026, 0x300600A4
_OBSERVATION_NUMBER, _LABEL = 0x30060082, 0x30060002
_APPROVAL, _REVIEW = 0x300E0002, (0x300E0004, 0x300E0005, 0x300E0008)
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of the file: the profile, and whether it is the node's own, which must follow it in everything."""

    profile: ExportProfile
    own: bool

    def departure(self) -> Severity:
        """How grave it is to depart from a cautious choice: nobody has seen another system's file refused for it."""
        return Severity.ERROR if self.own else Severity.WARNING

    def strict(self) -> Severity:
        """How grave a name is that only a system with short plain names refuses."""
        return Severity.ERROR if self.profile.characters is Letters.ASCII else Severity.WARNING


def check_rois(document: Document, characters: Characters, asked: Asked, log: Log) -> None:
    """Report what is wrong with the ROIs but for their contours, and with the set's syntax, label and approval."""
    root = document.root
    _check_syntax(document, asked, log)
    _check_text(root, _LABEL, characters, asked, log)
    _check_numbers(root, asked, log)
    _check_names(root, characters, asked, log)
    _check_types(root, asked, log)
    _check_approval(root, asked, log)


def _check_syntax(document: Document, asked: Asked, log: Log) -> None:
    syntax = document.stream.transfer_syntax_uid
    at = ((0x00020010, 0),)
    expected = _EXPLICIT if asked.profile.transfer_syntax is TransferSyntax.EXPLICIT else _IMPLICIT
    if syntax not in (_IMPLICIT, _EXPLICIT):
        words = Words(
            "unusual transfer syntax", "Implicit or Explicit VR Little Endian", syntax, "Convert it"
        )
        log.error("transfer-syntax", at, words)
    elif syntax != expected and asked.own:
        log.error(
            "transfer-syntax", at, Words("not the profile's transfer syntax", expected, syntax, "Convert it")
        )


def _check_numbers(root: Level, asked: Asked, log: Log) -> None:
    described = _unique(root, ROIS, _NUMBER, Severity.ERROR, log)
    drawn = _unique(root, ROI_CONTOURS, _REFERENCED, Severity.ERROR, log)
    observed = {item.text(_REFERENCED) for item in root.items(OBSERVATIONS)}
    _unique(root, OBSERVATIONS, _OBSERVATION_NUMBER, asked.departure(), log)
    for sequence in (ROI_CONTOURS, OBSERVATIONS):
        for item in root.items(sequence):
            number = item.text(_REFERENCED)
            if number and number not in described:
                words = Words(
                    "an ROI that is not described",
                    "a number of StructureSetROISequence",
                    number,
                    "Join by number",
                )
                log.error("roi-unknown", item.at(_REFERENCED), words, hex(sequence))
    for number, item in described.items():
        if number not in observed:
            words = Words(
                "an ROI without observation", f"an item for ROI {number}", "none", "Write one for each ROI"
            )
            log.report(asked.departure(), "roi-unobserved", root.at(OBSERVATIONS), words)
        if number not in drawn or CONTOURS not in drawn[number].elements:
            empty_allowed = asked.own and asked.profile.empty_rois is EmptyRois.KEEP
            words = Words("an ROI without contours", "contours", f"none for ROI {number}", "Leave it out")
            if not empty_allowed:
                log.report(asked.departure(), "roi-empty", item.at(_NUMBER), words)


def _unique(root: Level, sequence: int, tag: int, severity: Severity, log: Log) -> dict[str, Level]:
    """The items by number; reports numbers that occur twice."""
    by_number: dict[str, Level] = {}
    for item in root.items(sequence):
        number = item.text(tag)
        if number and number in by_number:
            words = Words("a number that occurs twice", "a number for each", number, "Number them anew")
            log.report(severity, "number-twice", item.at(tag), words)
        by_number.setdefault(number, item)
    return by_number


def _check_names(root: Level, characters: Characters, asked: Asked, log: Log) -> None:
    seen: dict[str, str] = {}
    profile = asked.profile
    for item in root.items(ROIS):
        _check_text(item, _NAME, characters, asked, log)
        name = _text(item, _NAME, characters)
        if name is None:
            continue
        at = item.at(_NAME)
        if len(name.rstrip(" ")) > profile.name_length:
            words = Words(
                "a long name",
                f"at most {profile.name_length} characters",
                f"'{name}', {len(name)}",
                "Shorten it, and keep its side",
            )
            log.error("name-length", at, words)
        if name.strip().casefold() in seen:
            other = seen[name.strip().casefold()]
            words = Words(
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
            words = Words("space before a name, or no name", "a name", f"'{name}'", "Give it a name")
            log.report(asked.strict(), "name-space", at, words)


def _check_text(level: Level, tag: int, characters: Characters, asked: Asked, log: Log) -> None:
    """Report several values where there is one, and letters that the destination does not take."""
    text = _text(level, tag, characters)
    if text is None:
        return
    if "\\" in text:
        words = Words("several values", "one", f"'{text}'", "Leave the backslash out")
        log.error("values", level.at(tag), words)
    if asked.profile.characters is Letters.ASCII and not all(" " <= c <= "~" for c in text):
        log.error(
            "not-ascii",
            level.at(tag),
            Words("letters outside ASCII", "printable ASCII", f"'{text}'", "Rename it"),
        )


def _check_types(root: Level, asked: Asked, log: Log) -> None:
    external = []
    for item in root.items(OBSERVATIONS):
        found = item.text(_TYPE)
        if found == "EXTERNAL":
            external.append(item)
        if found and found not in DEFINED_TYPES:
            words = Words(
                "not a defined term", "a term of PS3.3 C.8.8.8.1", f"'{found}'", "Write ORGAN, or nothing"
            )
            log.report(asked.departure(), "type-unknown", item.at(_TYPE), words)
        elif not found and asked.own:
            words = Words("no type", "a term of PS3.3 C.8.8.8.1", "none", "Write ORGAN")
            log.error("type-unknown", item.at(_TYPE), words)
    if asked.profile.one_external and len(external) > 1:
        words = Words("several outer contours", "one EXTERNAL", f"{len(external)}", "Make the others ORGAN")
        log.error("external", external[1].at(_TYPE), words)


def _check_approval(root: Level, asked: Asked, log: Log) -> None:
    status = root.text(_APPROVAL)
    at = root.at(_APPROVAL)
    if asked.own:
        if status != "UNAPPROVED":
            words = Words("nobody has approved it", "UNAPPROVED", f"'{status}'", "Write UNAPPROVED")
            log.error("approval", at, words)
        return
    if status not in ("", "APPROVED", "UNAPPROVED", "REJECTED"):
        words = Words("no such status", "APPROVED, UNAPPROVED or REJECTED", f"'{status}'", "Write UNAPPROVED")
        log.error("approval", at, words)
    elif status in ("APPROVED", "REJECTED"):
        absent = Counter(tag in root.elements for tag in _REVIEW)[False]
        if absent:
            words = Words(
                f"{status} without a review",
                "review date, time and reviewer",
                f"{absent} of them absent",
                "Write them, or UNAPPROVED",
            )
            log.error("approval", at, words)


def _text(level: Level, tag: int, characters: Characters) -> str | None:
    """The value without padding at its end; None where it is absent or not in the file's characters."""
    raw = level.elements.get(tag)
    return characters.text(raw.value) if raw else None
