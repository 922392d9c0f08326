"""Whether the contours of a file are the masks that they were made from, and enclose the volumes that it states."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from imaging.contours.structure_set import ReadContour
from imaging.ct.series_headers import SeriesHeaders
from imaging.dicom.elements import MalformedStream
from imaging.errors import StructureSetUnreadable
from imaging.export.profiles import ExportProfile
from imaging.rtstruct.contour_decoding import split_contours
from imaging.rtstruct.masks import RoiMasks, masks_on_grid, voxels_inside
from imaging.rtstruct.reading import read_structure_set
from imaging.rtstruct.stated_volume import LEAST_CM3, SHARE, compare_volume
from imaging.validation.findings import FindingLog, FindingText, Severity
from imaging.validation.modules import ROI_CONTOURS, ROIS
from imaging.validation.rois import ValidationRequest, number_text
from imaging.validation.tree import CONTOURS, ParsedFile
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

_NUMBER, _VOLUME, _REFERENCED = 0x30060022, 0x3006002C, 0x30060084


def check_volumes(
    data: bytes, document: ParsedFile, masks: RoiMasks, profile: ExportProfile, log: FindingLog
) -> None:
    """Report each ROI whose voxels, read back, differ from its mask by more than the profile's tolerance."""
    try:
        read = read_structure_set(data)
        found = masks_on_grid(read, masks.grid)
    except StructureSetUnreadable as error:
        words = FindingText(
            "the file cannot be read back", "a structure set", str(error), "Report this as a bug"
        )
        log.report(Severity.ERROR, "unreadable", (), words)
        return
    drawn = {str(roi.number): roi.contours for roi in read.rois}
    _check_stated(drawn, masks.grid, document, ValidationRequest(profile=profile, own=True), log)
    at = document.root.at(ROI_CONTOURS)
    places = {item.text(_REFERENCED): item.at(CONTOURS) for item in document.root.items(ROI_CONTOURS)}
    for number in sorted(masks.by_number.keys() | found.by_number.keys()):
        expected, got = masks.by_number.get(number), found.by_number.get(number)
        if expected is None or got is None:
            words = FindingText(
                "other ROIs than were exported",
                "one for each mask",
                f"ROI {number} without its counterpart",
                "Report this as a bug",
            )
            log.error("roi-count", at, words)
            continue
        different = differing_voxels(expected, got)
        if different > profile.volume_tolerance * expected.voxels():
            voxel_cm3 = masks.grid.voxel_volume_mm3 / 1000
            wanted = f"{expected.voxels() * voxel_cm3:.3f} cm3 as in its mask"
            differs = f"{got.voxels() * voxel_cm3:.3f} cm3 and {different} voxels that differ"
            words = FindingText(
                f"ROI {number} is not its mask", wanted, differs, "Do not send it; report this as a bug"
            )
            log.error("volume", places.get(str(number), at), words, str(number))


def check_stated_volumes(
    document: ParsedFile, series: SeriesHeaders | None, asked: ValidationRequest, log: FindingLog
) -> None:
    """Report ROIs whose ROI Volume (3006,002C) is neither what their contours enclose nor what they fill on the CT."""
    if not any(_cm3(item.text(_VOLUME)) for item in document.root.items(ROIS)):
        return
    try:
        drawn = {str(item.number): item.contours for item in split_contours(document.stream)[1]}
    except MalformedStream:
        return  # the cause has been reported
    _check_stated(drawn, series.grid if series else None, document, asked, log)


def _cm3(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _check_stated(
    drawn: Mapping[str, Sequence[ReadContour]],
    grid: Grid | None,
    document: ParsedFile,
    asked: ValidationRequest,
    log: FindingLog,
) -> None:
    for item in document.root.items(ROIS):
        number, stated_cm3 = number_text(item, _NUMBER), _cm3(item.text(_VOLUME))
        contours = drawn.get(number, ())
        compared = compare_volume(stated_cm3, contours, grid.spacing_zyx_mm[0] if grid else None)
        found = f"{stated_cm3} cm3"
        if compared and not compared.agrees and grid:
            voxels_cm3 = voxels_inside(contours, grid) * grid.voxel_volume_mm3 / 1000
            found += f", and {voxels_cm3:.3f} cm3 in voxels"
            compared = compare_volume(stated_cm3, contours, grid.spacing_zyx_mm[0], voxels_cm3)
        if compared and not compared.agrees:
            span = f"{compared.least_cm3:.3f} to {compared.most_cm3:.3f} cm3 by its contours"
            expected = f"{span}, within {SHARE:.0%} or {LEAST_CM3:g} cm3"
            words = FindingText(
                f"ROI {number} states another volume", expected, found, "Find out which of both is meant"
            )
            log.report(asked.departure(), "volume-stated", item.at(_VOLUME), words, number)


def differing_voxels(one: Mask, other: Mask) -> int:
    """Count the voxels that are set in exactly one of two masks of the same grid."""
    if not one.voxels() or not other.voxels():
        return one.voxels() + other.voxels()
    low = np.minimum(one.start_zyx, other.start_zyx)
    shape = np.maximum(_end(one), _end(other)) - low
    both = np.zeros(shape, np.bool_)
    for mask in (one, other):
        a, b = mask.start_zyx - low, _end(mask) - low
        both[tuple(slice(i, j) for i, j in zip(a, b, strict=True))] ^= mask.crop_zyx
    return int(np.count_nonzero(both))


def _end(mask: Mask) -> NDArray[np.int_]:
    return np.add(mask.start_zyx, mask.crop_zyx.shape)
