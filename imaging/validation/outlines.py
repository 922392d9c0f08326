"""Single contours: as many points as their type allows, and outlines that enclose an area and do not cross."""

import numpy as np
from numpy.typing import NDArray

from imaging.contours.areas import area_vectors
from imaging.contours.crossings import crosses_itself
from imaging.validation.coordinates import DATA, Report
from imaging.validation.findings import FindingText, Severity

_LEAST_MM2 = 1e-6


def check_point(k: int, points: NDArray[np.float64], report: Report) -> None:
    """Report a POINT that does not have exactly one point."""
    if len(points) != 1:
        words = FindingText(
            "a POINT of several points",
            "1 point",
            f"{len(points)}",
            "Write a contour for each, or a closed one",
        )
        report(Severity.ERROR, "point-contour", k, DATA, words)


def check_closed(k: int, points: NDArray[np.float64], report: Report, *, own: bool) -> None:
    """Report an outline of fewer than three points, without area, or that crosses itself.

    In the node's own file, report a repeated first point too; other systems write it, and every reader accepts it.
    """
    if len(points) < 3:
        words = FindingText(
            "a contour that bounds nothing", "3 points or more", f"{len(points)}", "Leave it out"
        )
        report(Severity.ERROR, "few-points", k, DATA, words)
        return
    if own:
        if (points[0] == points[-1]).all():
            words = FindingText(
                "the first point once more at the end",
                "each point once",
                "it twice",
                "Leave the last one out",
            )
            report(Severity.ERROR, "point-repeated", k, DATA, words)
        return
    normal = area_vectors([points])[0]
    area_mm2 = float(np.linalg.norm(normal))
    if area_mm2 < _LEAST_MM2 and not _bounds_something(points):
        words = FindingText("an outline without area", "an area", "0 mm2", "Leave it out")
        report(Severity.ERROR, "zero-area", k, DATA, words)
    elif crosses_itself(np.delete(points, _thinnest(points), axis=1)):
        words = FindingText(
            "an outline that crosses itself",
            "edges that do not cross",
            "a crossing",
            "Draw it again: systems differ in what lies inside",
        )
        report(Severity.WARNING, "self-crossing", k, DATA, words)


def _thinnest(points: NDArray[np.float64]) -> int:
    """Return the axis along which a plane outline extends least: seen along it, the outline shows its area."""
    return int(np.ptp(points, axis=0).argmin())


def _bounds_something(points: NDArray[np.float64]) -> bool:
    """Tell whether points lie off a line: a figure of eight bounds two areas that cancel each other."""
    return bool(np.linalg.matrix_rank(points - points.mean(axis=0), tol=1e-6) > 1)
