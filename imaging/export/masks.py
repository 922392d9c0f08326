"""Masks and a profile to a request for the writer: every change that the profile makes is listed, none is silent."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from imaging.contours.areas import areas
from imaging.contours.boundary import ProbabilityField
from imaging.contours.exact import PlanarContour
from imaging.ct.series import ImageSeries
from imaging.errors import StructureSetNotWritable
from imaging.export.contours import Shortened, cleaned, polygons
from imaging.export.names import assigned_names, spelling
from imaging.export.profiles import (
    DESCRIPTION_LIMIT,
    LABEL_LIMIT,
    SERIES_DESCRIPTION_LIMIT,
    Boundary,
    EmptyRois,
    ExportProfile,
    TransferSyntax,
)
from imaging.export.texts import description, legible, letters, with_letters_of
from imaging.rtstruct.masks import RoiMasks
from imaging.rtstruct.request import RESEARCH_USE, RoiContours, StructureSetRequest
from imaging.rtstruct.roi_numbers import roi_numbers
from imaging.structures import InterpretedType, Structure
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask


class ChangedProperty(StrEnum):
    """What a profile can change."""

    NAME = "name"
    LEFT_OUT = "left out"
    INTERPRETED_TYPE = "interpreted type"
    ISLANDS = "small islands"
    HOLES = "small holes"
    POINTS = "points"
    BOUNDARY = "boundary"
    LABEL = "label"
    DESCRIPTION = "description"
    SERIES_DESCRIPTION = "series description"
    ROI_DESCRIPTION = "ROI description"


@dataclass(frozen=True, kw_only=True)
class ProfileChange:
    """One change: the ROI by its earlier name (empty for the whole set), the property, before, after, and why."""

    roi: str
    what: ChangedProperty
    before: str
    after: str
    why: str


@dataclass(frozen=True, kw_only=True, eq=False)
class RoiMask:
    """One structure to export, its mask on the CT's grid; for a smooth boundary, optionally with a probability.

    `number` is the ROI Number that it must have; without one it gets the lowest that is free.
    """

    structure: Structure
    name: str
    mask: Mask
    description: str = ""
    probability: ProbabilityField | None = None
    number: int | None = None


class Exported(NamedTuple):
    """A request for `write_structure_set`, what was changed, and the masks by ROI Number that it must read back as."""

    request: StructureSetRequest
    changes: tuple[ProfileChange, ...]
    masks: RoiMasks


def export(request: StructureSetRequest, rois: Sequence[RoiMask], profile: ExportProfile) -> Exported:
    """Return the request with these ROIs as the profile asks for them; `request.rois` is replaced.

    Raises StructureSetNotWritable where nothing is left to write, or a name or contour cannot be made to fit.
    """
    changes: list[ProfileChange] = []
    request = dataclasses.replace(request, series=with_letters_of([roi.name for roi in rois], request.series))
    grid = request.series.volume.grid
    shaped = _without_empty([_clean(roi, grid, profile, changes) for roi in rois], profile, changes)
    if not shaped:
        raise StructureSetNotWritable("a structure set needs at least one ROI, and every mask is empty")
    typed = _typed(shaped, profile, changes)
    named = _named(typed, request, profile, changes)
    contents = [_contents(roi, name, request.series, profile, changes) for roi, name in named]
    ready = dataclasses.replace(
        _described(request, profile, changes),
        rois=contents,
        explicit_vr=profile.transfer_syntax is TransferSyntax.EXPLICIT,
        decimals=profile.decimals,
    )
    numbers = roi_numbers([roi.number for roi, _ in named])
    masks = {number: roi.mask for number, (roi, _) in zip(numbers, named, strict=True)}
    return Exported(ready, tuple(changes), RoiMasks(grid=grid, by_number=masks, notes=()))


def _clean(roi: RoiMask, grid: Grid, profile: ExportProfile, changes: list[ProfileChange]) -> RoiMask:
    found = cleaned(roi.mask, grid, profile)
    for what, count, voxels, limit_mm2, verb in (
        (ChangedProperty.ISLANDS, found.islands, found.island_voxels, profile.smallest_island_mm2, "removed"),
        (ChangedProperty.HOLES, found.holes, found.hole_voxels, profile.smallest_hole_mm2, "filled"),
    ):
        if count:
            before = f"{count} smaller than {limit_mm2:g} mm2 on their slice, {voxels} voxels"
            why = f"the profile's smallest {'island' if what is ChangedProperty.ISLANDS else 'hole'}"
            changes.append(ProfileChange(roi=roi.name, what=what, before=before, after=verb, why=why))
    return dataclasses.replace(roi, mask=found.mask)


def _without_empty(
    rois: Sequence[RoiMask], profile: ExportProfile, changes: list[ProfileChange]
) -> list[RoiMask]:
    if profile.empty_rois is EmptyRois.KEEP:
        return list(rois)
    kept = []
    for roi in rois:
        if roi.mask.voxels():
            kept.append(roi)
            continue
        why = "the profile leaves out ROIs without contours"
        changes.append(
            ProfileChange(
                roi=roi.name,
                what=ChangedProperty.LEFT_OUT,
                before="no voxels",
                after="not in the set",
                why=why,
            )
        )
    return kept


def _typed(rois: Sequence[RoiMask], profile: ExportProfile, changes: list[ProfileChange]) -> list[RoiMask]:
    """Return the ROIs with at most one EXTERNAL: the largest keeps the type."""
    external = [roi for roi in rois if roi.structure.interpreted_type is InterpretedType.EXTERNAL]
    if not profile.one_external or len(external) < 2:
        return list(rois)
    kept = max(external, key=lambda roi: roi.mask.voxels())
    result = []
    for roi in rois:
        if roi.structure.interpreted_type is not InterpretedType.EXTERNAL or roi is kept:
            result.append(roi)
            continue
        why = f"a set has one EXTERNAL, and '{kept.name}' is larger"
        changes.append(
            ProfileChange(
                roi=roi.name, what=ChangedProperty.INTERPRETED_TYPE, before="EXTERNAL", after="ORGAN", why=why
            )
        )
        organ = dataclasses.replace(roi.structure, interpreted_type=InterpretedType.ORGAN)
        result.append(dataclasses.replace(roi, structure=organ))
    return result


def _named(
    rois: Sequence[RoiMask],
    request: StructureSetRequest,
    profile: ExportProfile,
    changes: list[ProfileChange],
) -> list[tuple[RoiMask, str]]:
    wished = [
        spelling(roi.name, legible(roi.name, request.series, profile), roi.structure.name) for roi in rois
    ]
    names = assigned_names(wished, profile.name_length)
    for roi, name in zip(rois, names, strict=True):
        if name != roi.name:
            limit = f"names of at most {profile.name_length} {letters(profile)} characters"
            why = f"the destination takes {limit}, unique without regard to case; the ROI description has the whole name"
            changes.append(
                ProfileChange(roi=roi.name, what=ChangedProperty.NAME, before=roi.name, after=name, why=why)
            )
    return list(zip(rois, names, strict=True))


def _contents(
    roi: RoiMask, name: str, series: ImageSeries, profile: ExportProfile, changes: list[ProfileChange]
) -> RoiContours:
    grid = series.volume.grid
    drawn, shortened = polygons(roi.mask, grid, profile, roi.probability)
    changes += [_points_changed(roi, note, profile) for note in shortened]
    volume_mm3 = _volume_mm3(drawn, grid)
    if profile.boundary is not Boundary.EXACT and drawn:
        exact_cm3 = roi.mask.voxels() * grid.voxel_volume_mm3 / 1000
        before, after = f"voxels' edges, {exact_cm3:.3f} cm3", f"{volume_mm3 / 1000:.3f} cm3"
        why = f"the profile's boundary is {profile.boundary}, tolerance {profile.tolerance_mm:g} mm"
        changes.append(
            ProfileChange(roi=roi.name, what=ChangedProperty.BOUNDARY, before=before, after=after, why=why)
        )
    return RoiContours(
        structure=roi.structure,
        name=name,
        contours=drawn,
        description=_roi_description(roi, name, series, profile, changes),
        volume_mm3=volume_mm3,
        number=roi.number,
    )


def _points_changed(roi: RoiMask, note: Shortened, profile: ExportProfile) -> ProfileChange:
    counts = ", ".join(map(str, note.points_after))
    words = (
        f"{len(note.points_after)} contours of {counts} points"
        if len(note.points_after) > 1
        else f"{counts} points"
    )
    before = f"a contour of {note.points_before} points on slice {note.slice_index}"
    why = f"the profile allows {profile.most_points} points in a contour"
    return ProfileChange(roi=roi.name, what=ChangedProperty.POINTS, before=before, after=words, why=why)


def _volume_mm3(drawn: Sequence[PlanarContour], grid: Grid) -> float:
    """Return the area of polygons, holes of the opposite direction subtracted, times the slice distance, in mm3."""
    planes = [grid.index_zyx(contour.points_lps)[:, 1:] for contour in drawn]
    return abs(float(areas(planes).sum())) * grid.voxel_volume_mm3


def _roi_description(
    roi: RoiMask, name: str, series: ImageSeries, profile: ExportProfile, changes: list[ProfileChange]
) -> str:
    """Return the description, preceded by the full name where the name had to be changed."""
    full = f"{roi.name}. {roi.description}".strip() if name != roi.name else roi.description
    text, why = description(full, series, profile)
    if text != full:
        what = ChangedProperty.ROI_DESCRIPTION
        changes.append(ProfileChange(roi=roi.name, what=what, before=full, after=text, why=why))
    return text


def _described(
    request: StructureSetRequest, profile: ExportProfile, changes: list[ProfileChange]
) -> StructureSetRequest:
    """Return the request with label and descriptions by the profile's patterns, truncated where they are too long."""
    producer = request.producer
    words = {
        "label": request.label,
        "description": request.description,
        "model": producer.algorithm_name,
        "version": producer.algorithm_version,
        "date": f"{request.created:%Y%m%d}",
        "time": f"{request.created:%H%M%S}",
        "profile": profile.name,
    }
    texts = []
    for what, pattern, given, limit in (
        (ChangedProperty.LABEL, profile.label, request.label, LABEL_LIMIT),
        (
            ChangedProperty.DESCRIPTION,
            profile.description,
            request.description,
            DESCRIPTION_LIMIT - len(RESEARCH_USE) - 1,
        ),
        (
            ChangedProperty.SERIES_DESCRIPTION,
            profile.series_description,
            request.series_description,
            SERIES_DESCRIPTION_LIMIT,
        ),
    ):
        text = legible(pattern.format(**words), request.series, profile)[:limit].strip()
        if text != given:
            why = f"the pattern '{pattern}', at most {limit} {letters(profile)} characters"
            changes.append(ProfileChange(roi="", what=what, before=given, after=text, why=why))
        texts.append(text)
    return dataclasses.replace(request, label=texts[0], description=texts[1], series_description=texts[2])
