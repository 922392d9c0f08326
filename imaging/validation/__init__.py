"""Validation: a structure set is read back from its bytes and checked before anybody receives it."""

from imaging.ct.series import ImageSeries
from imaging.ct.series_headers import SeriesHeaders
from imaging.dicom.elements import MalformedStream
from imaging.dicom.patient_study import given_by
from imaging.export.profiles import ExportProfile
from imaging.rtstruct.masks import RoiMasks
from imaging.validation.findings import FindingLog, FindingText, Severity, ValidationFinding
from imaging.validation.geometry import check_contours
from imaging.validation.image_positions import ImagePositions
from imaging.validation.modules import SOP_CLASS, check_modules, is_structure_set
from imaging.validation.references import (
    check_against_series,
    check_references,
    referenced_series,
    uids_of,
)
from imaging.validation.rois import ValidationRequest, check_rois
from imaging.validation.tree import read_document
from imaging.validation.values import characters_of, check_values
from imaging.validation.volumes import check_stated_volumes, check_volumes

__all__ = ["NO_STRUCTURE_SET", "Severity", "ValidationFinding", "refusal", "series_named", "validate"]

NO_STRUCTURE_SET = frozenset({"no-dicom", "no-structure-set"})
"""Codes of files that are not RT Structure Sets at all."""


def validate(
    file_bytes: bytes,
    profile: ExportProfile,
    masks: RoiMasks | None = None,
    series: ImageSeries | SeriesHeaders | None = None,
) -> tuple[ValidationFinding, ...]:
    """Return everything that a destination with this profile may refuse or misread, errors first; () for a clean file.

    With `series`, references and planes must be those of exactly these images; without a grid, volumes are not compared
    on it. With `masks`, by ROI number, the file is the node's own: it must read back as these masks, be UNAPPROVED, and
    follow the profile in everything; otherwise a departure from one of the profile's merely cautious choices is a
    warning.
    """
    log = FindingLog()
    images = SeriesHeaders.of(series) if isinstance(series, ImageSeries) else series
    try:
        document = read_document(file_bytes, log)
        if not is_structure_set(document):
            found = document.root.text(SOP_CLASS) or "none"
            words = FindingText(
                "another kind of object", "RT Structure Set Storage", found, "Give an RTSTRUCT file"
            )
            return _only("no-structure-set", words, ((SOP_CLASS, 0),))
        asked = ValidationRequest(profile=profile, own=masks is not None)
        characters = characters_of(document.root, log, given_by(images.header) if images else None)
        check_modules(document, log)
        check_values(document.root, characters, uids_of(images) if images else frozenset(), log)
        check_rois(document, characters, asked, log)
        check_references(document.root, profile, log)
        if images:
            check_against_series(document.root, images, characters, asked, log)
        check_contours(document, ImagePositions.of(images, document.root), asked, log)
    except MalformedStream as error:
        words = FindingText(
            "the bytes are no DICOM dataset", "a DICOM file", str(error), "Export the file again"
        )
        return _only("no-dicom", words, ())
    if masks is None:
        check_stated_volumes(document, images, asked, log)
    elif not any(finding.severity is Severity.ERROR for finding in log.findings()):
        check_volumes(file_bytes, document, masks, profile, log)
    return log.findings()


def series_named(file_bytes: bytes) -> tuple[str, ...]:
    """Return the Series Instance UIDs of the images that a structure set refers to; none where it cannot be read."""
    try:
        return referenced_series(read_document(file_bytes, FindingLog()).root)
    except MalformedStream:
        return ()


def refusal(findings: tuple[ValidationFinding, ...]) -> str | None:
    """Return why the set is not sent, on one line that names each attribute; None where there is no error."""
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    return "; ".join(f"{e.path}: {e.message}" for e in errors) or None


def _only(code: str, words: FindingText, path: tuple[tuple[int, int], ...]) -> tuple[ValidationFinding, ...]:
    log = FindingLog()
    log.error(code, path, words)
    return log.findings()
