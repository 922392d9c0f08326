"""Whether the contours of a file are the masks that they were made from."""

import numpy as np
from numpy.typing import NDArray

from imaging.errors import StructureSetUnreadable
from imaging.gate.findings import Log, Severity, Words
from imaging.gate.modules import ROI_CONTOURS
from imaging.gate.tree import CONTOURS, Document
from imaging.profiles import ExportProfile
from imaging.rtstruct_reading import read_structure_set
from imaging.structure_masks import RoiMasks, masks_on_grid
from imaging.volume import Mask


def check_volumes(data: bytes, document: Document, masks: RoiMasks, profile: ExportProfile, log: Log) -> None:
    """Report each ROI that reads as other voxels than its mask, beyond the profile's tolerance."""
    try:
        found = masks_on_grid(read_structure_set(data), masks.grid)
    except StructureSetUnreadable as error:
        words = Words("the file cannot be read back", "a structure set", str(error), "Report this as a bug")
        log.report(Severity.ERROR, "unreadable", (), words)
        return
    at = document.root.at(ROI_CONTOURS)
    for number in sorted(masks.by_number.keys() | found.by_number.keys()):
        expected, read = masks.by_number.get(number), found.by_number.get(number)
        if expected is None or read is None:
            words = Words(
                "other ROIs than were exported",
                "one for each mask",
                f"ROI {number} without its counterpart",
                "Report this as a bug",
            )
            log.error("roi-count", at, words)
            continue
        different = differing_voxels(expected, read)
        if different > profile.volume_tolerance * expected.voxels():
            voxel_cm3 = masks.grid.voxel_volume_mm3 / 1000
            wanted = f"{expected.voxels() * voxel_cm3:.3f} cm3 as in its mask"
            got = f"{read.voxels() * voxel_cm3:.3f} cm3 and {different} voxels that differ"
            words = Words(
                f"ROI {number} is not its mask", wanted, got, "Do not send it; report this as a bug"
            )
            log.error("volume", (*at[:-1], (ROI_CONTOURS, number), (CONTOURS, 0)), words, str(number))


def differing_voxels(one: Mask, other: Mask) -> int:
    """How many voxels are set in one of two masks of the same grid and not in the other."""
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
