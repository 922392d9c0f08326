"""`contour-node validate`: would a destination take this RTSTRUCT? For files of any system; needs no settings."""

import argparse
from dataclasses import asdict
from pathlib import Path

from evaluation.dicom_folder import DicomFolder
from evaluation.errors import EvaluationRefused
from imaging.ct.series_headers import SeriesHeaders, read_headers
from imaging.errors import ImageRefused
from imaging.export.profiles import PROFILES
from imaging.validation import NO_STRUCTURE_SET, Severity, ValidationFinding, series_named, validate
from service.cli.output import say, say_json, warn

CLEAN, FOUND, WRONG_CALL = 0, 1, 2


def run(arguments: argparse.Namespace) -> int:
    """Print the file's faults; return 0 for at most warnings, 1 for errors, 2 if RTSTRUCT or CT cannot be read."""
    try:
        data = arguments.file.read_bytes()
        images = _images(arguments.ct, series_named(data)) if arguments.ct else None
    except OSError as error:
        return _wrong_call(f"{error.filename}: {error.strerror}")
    except (EvaluationRefused, ImageRefused) as reason:
        return _wrong_call(f"--ct: {reason}")
    findings = validate(data, PROFILES[arguments.profile], series=images)
    if any(finding.code in NO_STRUCTURE_SET for finding in findings):
        return _wrong_call(f"{arguments.file}: {findings[0].message}")
    errors = sum(finding.severity is Severity.ERROR for finding in findings)
    without_grid = images.without_grid if images else ""
    if without_grid:
        warn(f"--ct: {without_grid} Volumes are not compared on these images; everything else is.")
    if arguments.json:
        say_json({**_report(arguments, findings, errors), "ct_without_grid": without_grid or None}, indent=2)
    else:
        say(*_lines(arguments, findings, errors))
    return FOUND if errors else CLEAN


def _images(folder: Path, named: tuple[str, ...]) -> SeriesHeaders:
    """Return the series that the structure set names, or else the only one.

    Raises EvaluationRefused or ImageRefused with the reason.
    """
    if not folder.is_dir():
        raise EvaluationRefused(f"{folder} is not a folder")
    return read_headers(DicomFolder.of(folder).sources(named))


def _lines(arguments: argparse.Namespace, findings: tuple[ValidationFinding, ...], errors: int) -> list[str]:
    warnings = len(findings) - errors
    lines = [finding.line for finding in findings]
    lines.append(f"{arguments.file}: {errors} error(s), {warnings} warning(s), profile {arguments.profile}")
    return lines


def _report(
    arguments: argparse.Namespace, findings: tuple[ValidationFinding, ...], errors: int
) -> dict[str, object]:
    return {
        "file": str(arguments.file),
        "profile": arguments.profile,
        "errors": errors,
        "warnings": len(findings) - errors,
        "findings": [{**asdict(finding), "message": finding.message} for finding in findings],
    }


def _wrong_call(message: str) -> int:
    warn(f"contour-node validate: {message}")
    return WRONG_CALL
