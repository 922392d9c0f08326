"""The gate: a structure set is read back from its bytes and checked before anybody receives it."""

from imaging.ct import CtSeries
from imaging.elements import MalformedStream
from imaging.gate.findings import Finding, Log, Severity, Words
from imaging.gate.geometry import Places, check_contours
from imaging.gate.modules import SOP_CLASS, check_modules, is_structure_set
from imaging.gate.references import (
    check_against_series,
    check_references,
    referenced_images,
    referenced_series,
    uids_of,
)
from imaging.gate.rois import Asked, check_rois
from imaging.gate.tree import read_document
from imaging.gate.values import characters_of, check_values
from imaging.gate.volumes import check_stated_volumes, check_volumes
from imaging.patient_study import given_by
from imaging.profiles import ExportProfile
from imaging.structure_masks import RoiMasks

__all__ = ["NO_STRUCTURE_SET", "Finding", "Severity", "check", "refusal", "series_named"]

NO_STRUCTURE_SET = frozenset({"no-dicom", "no-structure-set"})
"""Codes of files that are not RT Structure Sets at all."""


def check(
    file_bytes: bytes, profile: ExportProfile, masks: RoiMasks | None = None, series: CtSeries | None = None
) -> tuple[Finding, ...]:
    """Everything that a destination with this profile may refuse or misread, errors first; nothing for a clean file.

    With `series`, references and planes must be those of the very images. With `masks`, by ROI number, the file is
    the node's own: it must read as these masks, be UNAPPROVED, and follow the profile in everything; otherwise a
    departure from one of the profile's merely cautious choices is a warning.
    """
    log = Log()
    try:
        document = read_document(file_bytes, log)
        if not is_structure_set(document):
            found = document.root.text(SOP_CLASS) or "none"
            words = Words(
                "another kind of object", "RT Structure Set Storage", found, "Give an RTSTRUCT file"
            )
            return _only("no-structure-set", words, ((SOP_CLASS, 0),))
        asked = Asked(profile=profile, own=masks is not None)
        characters = characters_of(document.root, log, given_by(series.header) if series else None)
        check_modules(document, log)
        check_values(document.root, characters, uids_of(series) if series else frozenset(), log)
        check_rois(document, characters, asked, log)
        check_references(document.root, profile, log)
        if series:
            check_against_series(document.root, series, characters, asked, log)
        check_contours(document, Places.of(series, referenced_images(document.root)), asked, log)
    except MalformedStream as error:
        words = Words("the bytes are no DICOM dataset", "a DICOM file", str(error), "Export the file again")
        return _only("no-dicom", words, ())
    if masks is None:
        check_stated_volumes(document, series, asked, log)
    elif not any(finding.severity is Severity.ERROR for finding in log.findings()):
        check_volumes(file_bytes, document, masks, profile, log)
    return log.findings()


def series_named(file_bytes: bytes) -> tuple[str, ...]:
    """The Series Instance UIDs of the images that a structure set refers to; none where it cannot be read."""
    try:
        return referenced_series(read_document(file_bytes, Log()).root)
    except MalformedStream:
        return ()


def refusal(findings: tuple[Finding, ...]) -> str | None:
    """Why the set is not sent, on one line naming each attribute; None where nothing is an error."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    return "; ".join(f"{e.path}: {e.message}" for e in errors) or None


def _only(code: str, words: Words, path: tuple[tuple[int, int], ...]) -> tuple[Finding, ...]:
    log = Log()
    log.error(code, path, words)
    return log.findings()
