"""Several readers of one structure: each against each, and all against their consensus by STAPLE (Warfield 2004)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import Any

import numpy as np
import SimpleITK as sitk

from evaluation.contour_set import ContourSet
from evaluation.errors import EvaluationRefused
from evaluation.geometry import Comparison, compare
from evaluation.naming import shared_names
from evaluation.pair import MaskPair, PairState
from imaging.volumes.crops import box_of, cut_out, put_back, tightened
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask

MARGIN_VOXELS = 2
CONSENSUS = 0.5
STAPLE = "STAPLE"


@dataclass(frozen=True, kw_only=True, eq=False)
class Consensus:
    """The voxels with a probability over 0.5, and each reader's sensitivity and specificity by STAPLE (in its box)."""

    mask: Mask
    sensitivity: Mapping[str, float]
    specificity: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class ReaderRow:
    """Agreement of two readers, or of one with the consensus ("STAPLE") of all, on one structure of a patient."""

    patient: str
    structure: str
    reader: str
    other: str
    state: PairState
    values: Mapping[str, float | None]


def reader_rows(
    patient: str, sets: Mapping[str, ContourSet], tolerances_mm: tuple[float, ...]
) -> tuple[list[ReaderRow], list[str]]:
    """Compare readers with each other and with the consensus, for structures that all of them named; with remarks.

    The sets lie on one grid. Fewer than two readers give no rows.
    """
    rows: list[ReaderRow] = []
    remarks: list[str] = []
    if len(sets) < 2:
        return rows, remarks
    grid = next(iter(sets.values())).grid
    for structure, names in shared_names({reader: one.masks for reader, one in sets.items()}).items():
        masks = {reader: sets[reader].masks[own] for reader, own in names.items()}
        found = pairwise(masks, grid, tolerances_mm)
        try:
            consensus = against_consensus(masks, grid, tolerances_mm)
            found |= {(reader, STAPLE): comparison for reader, comparison in consensus.items()}
        except EvaluationRefused as reason:
            remarks.append(f"{structure}: {reason}")
        rows += [
            ReaderRow(
                patient=patient, structure=structure, reader=one, other=other, state=c.state, values=c.values
            )
            for (one, other), c in found.items()
        ]
    return rows, remarks


def pairwise(
    masks: Mapping[str, Mask], grid: Grid, tolerances_mm: tuple[float, ...]
) -> dict[tuple[str, str], Comparison]:
    """Compare each pair of readers once, with the second of the pair as the reference."""
    return {
        (one, other): compare(MaskPair.of(masks[one], masks[other], grid), tolerances_mm)
        for one, other in combinations(masks, 2)
    }


def against_consensus(
    masks: Mapping[str, Mask], grid: Grid, tolerances_mm: tuple[float, ...]
) -> dict[str, Comparison]:
    """Compare each reader with the consensus of all, that reader included."""
    consensus = staple(masks)
    return {
        reader: compare(MaskPair.of(mask, consensus.mask, grid), tolerances_mm)
        for reader, mask in masks.items()
    }


def staple(masks: Mapping[str, Mask]) -> Consensus:
    """Return the consensus of two or more readers, by SimpleITK's STAPLE in the joint box plus 2 voxels.

    The box matters: the more background it holds, the higher every specificity. Raises EvaluationRefused where a
    reader drew nothing: to STAPLE, that is a reader who misses everything.
    """
    if len(masks) < 2:
        raise EvaluationRefused(f"a consensus needs two readers or more, not {len(masks)}")
    empty = [reader for reader, mask in masks.items() if not mask.crop_zyx.any()]
    if empty:
        raise EvaluationRefused(f"{', '.join(empty)} drew nothing; no consensus is made")
    margin = (MARGIN_VOXELS,) * 3
    boxes = [box_of(tightened(mask)) for mask in masks.values()]
    box = reduce(lambda one, other: one.joined(other), boxes).grown(margin, margin)
    images = [sitk.GetImageFromArray(cut_out(mask, box).astype(np.uint8)) for mask in masks.values()]
    method = _staple_filter()
    method.SetForegroundValue(1.0)
    probability = np.asarray(sitk.GetArrayFromImage(method.Execute(images)))
    readers = list(masks)
    return Consensus(
        mask=put_back(probability > CONSENSUS, box),
        sensitivity=dict(zip(readers, method.GetSensitivity(), strict=True)),
        specificity=dict(zip(readers, method.GetSpecificity(), strict=True)),
    )


def _staple_filter() -> Any:
    return sitk.STAPLEImageFilter()  # type: ignore[no-untyped-call]
