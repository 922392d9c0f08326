"""Axial slices: what must be redrawn, and agreement slice by slice. Outlines are compared within their own slice."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from evaluation.distances import Distances
from evaluation.pair import MaskPair, PairState
from evaluation.tolerance import within

_OTHER_SLICES_MM = 1e6  # further apart than any two points of one slice


def edit_values(pair: MaskPair, tolerances_mm: tuple[float, ...]) -> dict[str, float | None]:
    """Return how much a person would redraw to turn the mask under evaluation into the reference; 0 where none differs.

    Added path length (Vaassen 2020): outline pixels of the reference, slice by slice, that are further than the
    tolerance from the other's outline on that slice; in mm each pixel counts as the mean of its two sides. Slices to
    edit: slices on which an outline has such pixels, or only one mask has voxels. Names without a tolerance mean 0 mm.
    Either mask may be empty: then every outline pixel of the reference is added, every slice of the other is edited.
    """
    found, reference = (outline(mask) for mask in (pair.found_zyx, pair.reference_zyx))
    spacing = pair.grid.spacing_zyx_mm
    pixel_mm = (spacing[1] + spacing[2]) / 2
    to_reference = _in_slice_mm(found, reference, spacing)
    to_found = _in_slice_mm(reference, found, spacing)
    slices = (np.nonzero(found)[0], np.nonzero(reference)[0])
    values: dict[str, float | None] = {}
    for suffix, tolerance_mm in (("", 0.0), *((f"_at_{t:g}mm", t) for t in tolerances_mm)):
        added = ~within(to_found, tolerance_mm)
        off = ~within(to_reference, tolerance_mm)
        edited = np.union1d(slices[1][added], slices[0][off])
        values[f"added_path_length{suffix}_pixels"] = float(np.count_nonzero(added))
        values[f"added_path_length{suffix}_mm"] = float(np.count_nonzero(added)) * pixel_mm
        values[f"slices_to_edit{suffix}"] = float(len(edited))
    values["reference_path_length_mm"] = float(np.count_nonzero(reference)) * pixel_mm
    return values


def slice_values(pair: MaskPair) -> list[Mapping[str, float | str | None]]:
    """Return one row for each axial slice on which a mask has voxels: index, state, Dice, distances within the slice.

    Distances are those of `evaluation.distances` in two dimensions (outline pixels have one of four neighbours
    outside).
    """
    masks = (pair.found_zyx, pair.reference_zyx)
    if not pair.found_zyx.size:
        return []
    found, reference = (outline(mask) for mask in masks)
    spacing = pair.grid.spacing_zyx_mm
    to_reference, to_found = _in_slice_mm(found, reference, spacing), _in_slice_mm(reference, found, spacing)
    slices = (np.nonzero(found)[0], np.nonzero(reference)[0])
    rows: list[Mapping[str, float | str | None]] = []
    for k in np.flatnonzero((masks[0] | masks[1]).any(axis=(1, 2))).tolist():
        counts = [int(np.count_nonzero(mask[k])) for mask in masks]
        state = _state(*counts)
        row: dict[str, float | str | None] = {"slice": k + pair.box.start[0], "state": state.value}
        if state is PairState.COMPARED:
            shared = int(np.count_nonzero(masks[0][k] & masks[1][k]))
            pooled = np.concatenate([to_reference[slices[0] == k], to_found[slices[1] == k]])
            row |= {
                "dice": 2.0 * shared / sum(counts),
                "hausdorff_mm": float(pooled.max()),
                "hausdorff95_pooled_mm": float(np.percentile(pooled, 95)),
                "average_surface_distance_pooled_mm": float(pooled.mean()),
            }
        rows.append(row)
    return rows


def difference_areas(pair: MaskPair, axis: int = 0) -> list[tuple[int, float, float]]:
    """Return the areas in mm2 that only one mask has, slice by slice across an axis (0: axial slices).

    Each row: the slice's index in the pair's grid, the area of the mask under evaluation alone, that of the reference
    alone. Slices without any difference have no row.
    """
    spacing = pair.grid.spacing_zyx_mm
    pixel_mm2 = pair.grid.voxel_volume_mm3 / spacing[axis]
    others = tuple(one for one in range(3) if one != axis)
    alone = [
        np.count_nonzero(mask, axis=others)
        for mask in (pair.found_zyx & ~pair.reference_zyx, pair.reference_zyx & ~pair.found_zyx)
    ]
    first = pair.box.start[axis]
    return [
        (k + first, float(alone[0][k]) * pixel_mm2, float(alone[1][k]) * pixel_mm2)
        for k in np.flatnonzero(alone[0] + alone[1]).tolist()
    ]


def outline(mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return, slice by slice, the pixels of a padded (z, y, x) mask that have one of four neighbours outside it."""
    if not mask_zyx.size:
        return mask_zyx
    result = mask_zyx.copy()
    inner = mask_zyx[:, 1:-1, 1:-1].copy()
    for rows, columns in ((slice(0, -2), slice(1, -1)), (slice(2, None), slice(1, -1))):
        inner &= mask_zyx[:, rows, columns]
        inner &= mask_zyx[:, columns, rows]
    result[:, 1:-1, 1:-1] ^= inner
    return result


def _in_slice_mm(
    here_zyx: NDArray[np.bool_], there_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float]
) -> Distances:
    """Return, for each outline pixel, the distance in mm to the other's nearest on its slice; inf where it has none."""
    scale = np.array([_OTHER_SLICES_MM, *spacing_zyx_mm[1:]])
    distances = np.zeros(int(np.count_nonzero(here_zyx)))
    apart = ~there_zyx[here_zyx]
    if apart.any():
        others = np.argwhere(there_zyx) * scale
        distances[apart] = np.inf
        if len(others):
            tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
            distances[apart] = tree.query(np.argwhere(here_zyx)[apart] * scale)[0]
    distances[distances >= _OTHER_SLICES_MM] = np.inf
    return distances


def _state(found: int, reference: int) -> PairState:
    if found and reference:
        return PairState.COMPARED
    return PairState.SPURIOUS if found else PairState.MISSING
