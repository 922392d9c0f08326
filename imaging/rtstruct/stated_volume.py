"""ROI Volume (3006,002C) against the volume that the contours enclose.

How systems compute it is not documented. They agree on the area of each plane, and differ in what lies between planes
and in where a structure ends: half a slice beyond its last plane, at that plane, or on a finer lattice. So what
contours enclose is a range. Its lower end stops the structure at its outer planes (or leaves skipped planes empty), its
upper end gives each plane a whole slice (or fills skipped planes). On a CT, the volume of the voxels belongs to it too:
some systems count voxels, and for a spinal cord in 4 mm pixels that is a tenth more than its contours enclose.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.contours.areas import area_vectors
from imaging.contours.structure_set import ReadContour

SHARE, LEAST_CM3 = 0.05, 0.1
"""How far beyond the range a stated volume may lie: a share of it, or this volume where that is more."""
_SAME_PLANE_MM = 0.01


@dataclass(frozen=True, kw_only=True)
class VolumeComparison:
    """What the file states for one ROI and the least and the most that its contours enclose or fill, in cm3."""

    stated_cm3: float
    least_cm3: float
    most_cm3: float

    @property
    def agrees(self) -> bool:
        """Whether the stated volume lies in the range, or beyond it by no more than the tolerance."""
        low = min(self.least_cm3 * (1 - SHARE), self.least_cm3 - LEAST_CM3)
        high = max(self.most_cm3 * (1 + SHARE), self.most_cm3 + LEAST_CM3)
        return low <= self.stated_cm3 <= high


def compare_volume(
    stated_cm3: float | None,
    contours: Sequence[ReadContour],
    slice_spacing_mm: float | None = None,
    voxels_cm3: float | None = None,
) -> VolumeComparison | None:
    """Return an ROI's stated volume and that of its closed contours; None where there is nothing to compare.

    There is nothing to compare where no volume or 0 is stated (Pinnacle states 0 for every ROI), where no contour is
    closed, and for a single plane of unknown thickness. Without `slice_spacing_mm`, a slice is as thick as the smallest
    distance between planes. `voxels_cm3` is the volume of the voxels that the contours fill on a CT.
    """
    closed = [contour for contour in contours if contour.is_closed]
    if not stated_cm3 or not closed:
        return None
    positions, areas_mm2 = _planes(closed)
    gaps = np.diff(positions)
    if not len(gaps) and slice_spacing_mm is None:
        return None
    thickness = slice_spacing_mm if slice_spacing_mm is not None else float(gaps.min())
    slabs = float(areas_mm2.sum()) * thickness
    between = float(((areas_mm2[1:] + areas_mm2[:-1]) / 2 * gaps).sum())
    capped = between + float(areas_mm2[0] + areas_mm2[-1]) / 2 * thickness
    span_cm3 = [slabs / 1000, between / 1000, capped / 1000]
    if voxels_cm3 is not None:
        span_cm3.append(voxels_cm3)
    return VolumeComparison(stated_cm3=stated_cm3, least_cm3=min(span_cm3), most_cm3=max(span_cm3))


def _planes(closed: Sequence[ReadContour]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return positions in mm along the normal, ascending, and the area in mm2 of each plane by the even-odd rule."""
    vectors = area_vectors([contour.points_lps for contour in closed])
    sizes_mm2 = np.linalg.norm(vectors, axis=1)
    largest = int(sizes_mm2.argmax())
    normal = vectors[largest] / max(float(sizes_mm2[largest]), 1e-12)
    along = np.array([contour.points_lps[0] for contour in closed]) @ normal
    order = np.argsort(along)
    planes = np.split(order, np.flatnonzero(np.diff(along[order]) > _SAME_PLANE_MM) + 1)
    across = _across(normal)
    areas_mm2 = [
        float(sizes_mm2[plane[0]])
        if len(plane) == 1
        else _even_odd_area([closed[k].points_lps @ across.T for k in plane.tolist()], sizes_mm2[plane])
        for plane in planes
    ]
    return np.array([along[plane[0]] for plane in planes]), np.array(areas_mm2)


def _across(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return two directions (2, 3) at right angles to the normal and to each other."""
    first = np.cross(normal, np.eye(3)[int(np.abs(normal).argmin())])
    first /= max(float(np.linalg.norm(first)), 1e-12)
    return np.array([first, np.cross(normal, first)])


def _even_odd_area(polygons: Sequence[NDArray[np.float64]], sizes_mm2: NDArray[np.float64]) -> float:
    """Return the area in mm2 of polygons of one plane that do not cross; inside an odd number of others is a hole."""
    low = np.array([polygon.min(axis=0) for polygon in polygons])
    high = np.array([polygon.max(axis=0) for polygon in polygons])
    total = 0.0
    for polygon, size in zip(polygons, sizes_mm2.tolist(), strict=True):
        point = polygon[0]
        near = ((low <= point) & (point <= high)).all(axis=1) & (sizes_mm2 > size)
        around = sum(_holds(polygons[k], point) for k in np.flatnonzero(near).tolist())
        total += -size if around % 2 else size
    return total


def _holds(polygon: NDArray[np.float64], point: NDArray[np.float64]) -> bool:
    """Tell whether the point lies inside, by the even-odd rule."""
    start, end = polygon, np.roll(polygon, -1, axis=0)
    spans = (start[:, 0] > point[0]) != (end[:, 0] > point[0])
    start, end = start[spans], end[spans]
    share = (point[0] - start[:, 0]) / (end[:, 0] - start[:, 0])
    crossed = start[:, 1] + share * (end[:, 1] - start[:, 1]) > point[1]
    return bool(np.count_nonzero(crossed) % 2)
