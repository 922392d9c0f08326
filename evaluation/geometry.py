"""All geometric metrics of two masks under their full names; `evaluation.definitions` says what each name means."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.definitions import definitions
from evaluation.distances import Distances, SurfaceDistances, border_distances
from evaluation.overlap import overlap_values, volume_values
from evaluation.pair import MaskPair, PairState
from evaluation.slices import edit_values
from evaluation.surfels import WeightedDistances, surfel_distances, weighted_percentile
from evaluation.tolerance import within

DEFAULT_TOLERANCES_MM = (1.0, 2.0, 3.0)
Values = dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two masks of one structure: which of them have voxels, and each metric by name.

    A metric that the state does not define is None: a missing structure has no Dice of 0 and no distance of 0.
    """

    state: PairState
    values: Mapping[str, float | None]


def compare(pair: MaskPair, tolerances_mm: tuple[float, ...] = DEFAULT_TOLERANCES_MM) -> Comparison:
    """Compare two masks. Lengths in mm, volumes in cm3, shares 0..1; surface shares at each tolerance.

    Volumes, their difference and what a person would redraw are defined for empty masks too; everything else is None
    unless both masks have voxels. ValueError for a tolerance that is not positive.
    """
    if any(not tolerance > 0 for tolerance in tolerances_mm):
        raise ValueError(f"a tolerance is a positive number of mm, not {tolerances_mm}")
    values: Values = {**volume_values(pair), **edit_values(pair, tolerances_mm)}
    if pair.state is PairState.COMPARED:
        values |= overlap_values(pair)
        values |= centre_values(pair)
        values |= border_values(border_distances(pair), tolerances_mm)
        values |= area_values(surfel_distances(pair), tolerances_mm)
    names = [definition.name for definition in definitions(tolerances_mm)]
    return Comparison(state=pair.state, values={name: values.get(name) for name in names})


def centre_values(pair: MaskPair) -> Values:
    """Return the distance between the centres of mass in mm, and its components along LPS x, y and z."""
    centres = [_centre_lps(mask, pair) for mask in (pair.found_zyx, pair.reference_zyx)]
    shift = centres[0] - centres[1]
    return {
        "centre_shift_mm": float(np.linalg.norm(shift)),
        "centre_shift_left_mm": float(shift[0]),
        "centre_shift_posterior_mm": float(shift[1]),
        "centre_shift_superior_mm": float(shift[2]),
    }


def border_values(surface: SurfaceDistances, tolerances_mm: tuple[float, ...]) -> Values:
    """Return the distance metrics that count each border voxel once."""
    found, reference, pooled = surface.from_found, surface.from_reference, surface.pooled
    directed = [_percentile95(found), _percentile95(reference)]
    furthest = [float(found.max()), float(reference.max())]
    means = [float(found.mean()), float(reference.mean())]
    values: Values = {
        "hausdorff_mm": max(furthest),
        "hausdorff95_pooled_mm": _percentile95(pooled),
        "hausdorff95_larger_directed_mm": max(directed),
        "hausdorff95_mean_directed_mm": sum(directed) / 2,
        "hausdorff95_of_two_maxima_mm": _percentile95(np.array(furthest)),
        "average_surface_distance_pooled_mm": float(pooled.mean()),
        "average_surface_distance_mean_of_means_mm": sum(means) / 2,
        "average_surface_distance_from_found_mm": means[0],
        "average_surface_distance_from_reference_mm": means[1],
    }
    for tolerance_mm in tolerances_mm:
        share = float(within(pooled, tolerance_mm).mean())
        values[f"surface_dice_border_voxels_at_{tolerance_mm:g}mm"] = share
    return values


def area_values(surface: WeightedDistances, tolerances_mm: tuple[float, ...]) -> Values:
    """Return the distance metrics that weight each surface element by its area."""
    found = (surface.from_found, surface.found_areas)
    reference = (surface.from_reference, surface.reference_areas)
    means = [float(np.average(distances, weights=areas)) for distances, areas in (found, reference)]
    values: Values = {
        "hausdorff95_area_weighted_mm": max(
            weighted_percentile(*found, 95.0), weighted_percentile(*reference, 95.0)
        ),
        "average_surface_distance_area_weighted_mm": sum(means) / 2,
    }
    totals = [float(areas.sum()) for _, areas in (found, reference)]
    for tolerance_mm in tolerances_mm:
        near = [
            float(areas[within(distances, tolerance_mm)].sum()) for distances, areas in (found, reference)
        ]
        values[f"surface_dice_area_weighted_at_{tolerance_mm:g}mm"] = sum(near) / sum(totals)
        values[f"surface_overlap_of_found_at_{tolerance_mm:g}mm"] = near[0] / totals[0]
        values[f"surface_overlap_of_reference_at_{tolerance_mm:g}mm"] = near[1] / totals[1]
    return values


def _centre_lps(mask_zyx: NDArray[np.bool_], pair: MaskPair) -> NDArray[np.float64]:
    sums = [mask_zyx.sum(axis=axes, dtype=np.int64) for axes in ((1, 2), (0, 2), (0, 1))]
    index = [
        start + float(np.average(np.arange(len(counts)), weights=counts))
        for start, counts in zip(pair.box.start, sums, strict=True)
    ]
    return pair.grid.points_lps(index)


def _percentile95(distances: Distances) -> float:
    return float(np.percentile(distances, 95))
