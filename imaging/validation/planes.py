"""Whether contours are plane, and lie on the planes of their images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imaging.ct.series_headers import SeriesHeaders
from imaging.validation.coordinates import DATA, Report
from imaging.validation.findings import FindingText, Severity

PLANE_TOLERANCE_MM = 0.01
_ROUNDED_MM = 0.1  # other systems round positions; the image is named, so no reader takes another slice


class DrawnContour(NamedTuple):
    """One contour: its index in the ROI, its points (n, 3) in LPS mm, and the slice of the image that it names."""

    number: int
    points: NDArray[np.float64]
    slice_index: int | None


def check_planes(
    drawn: Sequence[DrawnContour], series: SeriesHeaders | None, report: Report, *, own: bool
) -> None:
    """Report contours that are not plane and, with the CT, those off their image's plane or outside the image."""
    if not drawn:
        return
    counts = np.array([len(points) for _, points, _ in drawn])
    points = np.concatenate([points for _, points, _ in drawn])
    starts = np.cumsum(counts) - counts
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    thickness = (high - low).min(axis=1)
    for at in np.flatnonzero(thickness > PLANE_TOLERANCE_MM).tolist():
        k, outline, _ = drawn[at]
        off_mm = _off_plane_mm(outline)
        if off_mm > PLANE_TOLERANCE_MM:
            words = FindingText(
                "a contour that is not plane",
                f"within {PLANE_TOLERANCE_MM} mm",
                f"{off_mm:.3g} mm off",
                "Write it on one slice",
            )
            report(Severity.ERROR, "not-plane", k, DATA, words)
    if series:
        _check_slices(drawn, points, series, report, own=own)


def _check_slices(
    drawn: Sequence[DrawnContour],
    points: NDArray[np.float64],
    series: SeriesHeaders,
    report: Report,
    *,
    own: bool,
) -> None:
    """Report points off the plane of the image that their contour names (else of the nearest one), or outside it."""
    counts = np.array([len(own) for _, own, _ in drawn])
    places = np.array([[float(p) for p in image.position] for image in series.slices])
    axes = np.array(series.axes_lps)
    starts = np.cumsum(counts) - counts
    nearest = np.abs((points[starts] @ axes[0])[:, None] - (places @ axes[0])[None]).argmin(axis=1).tolist()
    expected = [near if own is None else own for near, (_, _, own) in zip(nearest, drawn, strict=True)]
    from_corner = (points - np.repeat(places[expected], counts, axis=0)) @ axes.T
    off = np.maximum.reduceat(np.abs(from_corner[:, 0]), starts)
    for at in np.flatnonzero(off > PLANE_TOLERANCE_MM).tolist():
        words = FindingText(
            "a contour off its image's plane",
            f"within {PLANE_TOLERANCE_MM} mm",
            f"{off[at]:.3g} mm off",
            "Write the image's own position",
        )
        rounded = not own and off[at] <= _ROUNDED_MM + 1e-6
        report(Severity.WARNING if rounded else Severity.ERROR, "plane-off", drawn[at].number, DATA, words)
    index = from_corner[:, 1:] / np.array(series.spacing_yx_mm)
    beyond = ((index < -1) | (index > np.array(series.shape_yx))).any(axis=1)
    for at in np.flatnonzero(np.logical_or.reduceat(beyond, starts)).tolist():
        words = FindingText(
            "points beside the image", "points on the image", "others", "Check that these are the images"
        )
        report(Severity.WARNING, "beside-image", drawn[at].number, DATA, words)


def _off_plane_mm(points: NDArray[np.float64]) -> float:
    """Return the largest distance of points from the plane that fits them best."""
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][-1]
    return float(np.abs(centred @ normal).max())
