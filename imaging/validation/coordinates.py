"""Contour Data (3006,0050) as numbers: all of an ROI at once where they are valid, one by one to report the others."""

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imaging.dicom.decimals import decimal_numbers
from imaging.validation.findings import FindingText, Severity

DATA = 0x30060050
LONGEST_DS = 16
Report = Callable[[Severity, str, int, int, FindingText], None]
"""Takes a finding: severity, code, the contour's index, the attribute's tag, and the text."""
_DECIMAL = re.compile(rb" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *")


def coordinates(texts: list[bytes], report: Report) -> list[NDArray[np.float64] | None]:
    """Return the points (n, 3) of each contour; None, and a finding, where they cannot be read."""
    bare = [text.rstrip(b"\0") for text in texts]
    bare = [text[:-1] if text.endswith(b" ") else text for text in bare]  # padding to an even length
    counts = [text.count(b"\\") + 1 if text.strip() else 0 for text in bare]
    joined = b"\\".join(text for text, count in zip(bare, counts, strict=True) if count)
    values = _numbers(joined, sum(counts))
    if values is None or _longest(joined) > LONGEST_DS:
        return [_one(k, text, report) for k, text in enumerate(bare)]
    result: list[NDArray[np.float64] | None] = []
    start = 0
    for k, count in enumerate(counts):
        result.append(_in_threes(k, values[start : start + count], report))
        start += count
    return result


def _one(k: int, text: bytes, report: Report) -> NDArray[np.float64] | None:
    """Return one contour's points, value by value, so that each bad one is reported."""
    parts = text.split(b"\\") if text.strip() else []
    good = True
    for part in parts:
        shown = f"'{part[:24].decode('ascii', 'replace')}'"
        if len(part) > LONGEST_DS:
            words = FindingText(
                "a coordinate too long",
                f"at most {LONGEST_DS} bytes",
                f"{shown}, {len(part)} bytes",
                "Write fewer decimals",
            )
            report(Severity.ERROR, "too-long-ds", k, DATA, words)
        if not _DECIMAL.fullmatch(part):
            good = False
            words = FindingText(
                "a coordinate that is no number", "a decimal number", shown, "Write the contour again"
            )
            report(Severity.ERROR, "malformed-ds", k, DATA, words)
    return _in_threes(k, np.array([float(part) for part in parts]), report) if good else None


def _in_threes(k: int, values: NDArray[np.float64], report: Report) -> NDArray[np.float64] | None:
    if len(values) % 3:
        words = FindingText(
            "coordinates that are no points",
            "a multiple of 3",
            f"{len(values)}",
            "Write the contour again",
        )
        report(Severity.ERROR, "point-count", k, DATA, words)
        return None
    if not np.isfinite(values).all():
        words = FindingText(
            "a coordinate without end", "a finite number", "another", "Write the contour again"
        )
        report(Severity.ERROR, "malformed-ds", k, DATA, words)
        return None
    return values.reshape(-1, 3)


def _numbers(joined: bytes, count: int) -> NDArray[np.float64] | None:
    """Return exactly `count` numbers, or None where the text holds anything else."""
    try:
        values = decimal_numbers(joined)
    except ValueError:
        return None
    return values if len(values) == count else None


def _longest(joined: bytes) -> int:
    ends = np.flatnonzero(np.frombuffer(joined, np.uint8) == ord("\\"))
    return int(np.diff(ends, prepend=-1, append=len(joined)).max()) - 1
