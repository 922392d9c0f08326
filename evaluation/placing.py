"""A structure set placed on the voxels of an image: masks by name, and why an ROI has none."""

from collections import defaultdict
from collections.abc import Iterator

from evaluation.contour_set import ContourSet, upright
from evaluation.errors import EvaluationRefused
from imaging.contours.structure_set import Roi, StructureSet
from imaging.ct.series import ImageSeries
from imaging.rtstruct.masks import masks_on_grid
from imaging.volumes.grid import Grid
from imaging.volumes.orientation import canonical
from imaging.volumes.volume import Mask


def place(
    structure_set: StructureSet,
    target: ImageSeries | Grid,
    label: str,
    *,
    frame_of_reference_uid: str = "",
) -> ContourSet:
    """Place a structure set on an image, or on a grid in a frame of reference ("": any).

    Raises:
        EvaluationRefused: none of its contours lies on the image.
        StructureSetUnreadable: it lies in another frame of reference.
    """
    placed = masks_on_grid(structure_set, target, frame_of_reference_uid)
    rois, notes = _by_name(structure_set)
    by_name = {n: placed.by_number[roi.number] for n, roi in rois.items() if roi.number in placed.by_number}
    grid, masks = upright(placed.grid, by_name)
    refused = dict(_unplaceable(rois, masks))
    if refused and not any(mask.crop_zyx.any() for mask in masks.values()):
        raise EvaluationRefused("none of its contours lies on the slices of the image")
    series = target if isinstance(target, ImageSeries) else None
    return ContourSet(
        label=label,
        grid=grid,
        masks={name: mask for name, mask in masks.items() if name not in refused},
        volume=canonical(series.volume) if series else None,
        structure_set=structure_set,
        frame_of_reference_uid=frame_of_reference_uid or _frame(structure_set, series),
        notes=(*notes, *placed.notes),
        refused=refused,
    )


def _by_name(structure_set: StructureSet) -> tuple[dict[str, Roi], list[str]]:
    """Return the ROIs by name; ROIs that share a name are left out, with a note: either could be meant."""
    by_name: dict[str, list[Roi]] = defaultdict(list)
    for roi in structure_set.rois:
        by_name[roi.name or f"ROI {roi.number}"].append(roi)
    notes = [
        f"'{name}' is the name of {len(rois)} ROIs; none of them is compared"
        for name, rois in by_name.items()
        if len(rois) > 1
    ]
    return {name: rois[0] for name, rois in by_name.items() if len(rois) == 1}, notes


def _unplaceable(rois: dict[str, Roi], masks: dict[str, Mask]) -> Iterator[tuple[str, str]]:
    for name, roi in rois.items():
        if name not in masks:
            yield (
                name,
                roi.fault
                or f"it lies in frame of reference {roi.frame_of_reference_uid}, the image in another",
            )
        elif roi.closed and not masks[name].crop_zyx.any():
            count = len(roi.closed)
            yield (
                name,
                f"its {count} contour(s) hold no voxel of the image: outside it, or smaller than a voxel",
            )


def _frame(structure_set: StructureSet, series: ImageSeries | None) -> str:
    if series is not None:
        return series.frame_of_reference_uid
    frames = structure_set.frame_of_reference_uids
    return frames[0] if len(frames) == 1 else ""
