"""The contours of a structure set as the viewer draws them: in index coordinates of the volume, nothing simplified."""

from typing import Any

from imaging.contours.structure_set import Roi, StructureSet
from imaging.volumes.grid import Grid

WHITE = (255, 255, 255)


def drawn_set(found: StructureSet, grid: Grid) -> dict[str, Any]:
    """Return what the viewer draws of a structure set, in the order of the file.

    Returns:
        `structures`: number, name, type, colour, and contours: `slice` (z index, a fraction where the contour lies
        between slices) and `points` (x index, y index, ...).
    """
    return {
        "sop_instance_uid": found.sop_instance_uid,
        "label": found.label,
        "approval": found.approval_status,
        "structures": [_drawn(roi, grid) for roi in found.rois],
    }


def _drawn(roi: Roi, grid: Grid) -> dict[str, Any]:
    outlines = []
    for contour in roi.closed:
        index = grid.index_zyx(contour.points_lps)
        outlines.append(
            {
                "slice": round(float(index[:, 0].mean()), 4),
                "points": index[:, [2, 1]].round(4).ravel().tolist(),
            }
        )
    return {
        "number": roi.number,
        "name": roi.name,
        "type": roi.interpreted_type,
        "colour": list(roi.colour_rgb or WHITE),
        "contours": outlines,
    }
