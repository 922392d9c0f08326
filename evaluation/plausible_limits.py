"""Limits of plausibility, learned from measured structures, and written into a model's contract.

A limit is the outermost of the inner 99 % of the values, plus a margin: a share of its distance from the median, wider
for positions than for sizes. Sizes are compared as logarithms. Structures cut off by the edge of the scan do not count
for the lower limits of sizes, nor for distances that the cut changes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.overlap import dice
from imaging.anatomy import (
    Region,
    RegionEstimate,
    StructurePlacement,
    body_profile,
    estimate_regions,
    placements,
)
from imaging.atomic_files import write_atomically
from imaging.volumes.volume import Mask, Volume
from inference.contract import CONTRACT_FILE, ModelContract
from inference.contract.plausibility import PairLimits, Plausibility, StructureLimits
from inference.judgement import LIMITED, OUTLINES, anchor, is_anchored

OUTER = 0.005
MARGIN_OF_SIZES, MARGIN_OF_PLACES = 0.8, 1.2
LEAST_INSIDE = 0.75  # the outline is coarse, and training CTs are blanked close to the contours
RIGHT_DICE = 0.6  # from this value on, a model's answer counts as right
LEAST_SAMPLES = 10
REGION_SHARE = 0.5  # of the shortest scan of the training set
LOGARITHMIC = ("volume_cc", "height_mm", "depth_mm", "width_mm", "body_cm2")
ELONGATED_SHARE = (
    0.3  # where this share of cases ends at the scan's lower edge, distances are measured from the top
)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Measurements of correct structures on one CT; ``is_drawn``: by a person, otherwise found by the model."""

    name: str
    is_drawn: bool = True
    regions: RegionEstimate
    placed: Mapping[str, StructurePlacement]


def measured_samples(
    name: str, upright: Volume, drawn: Mapping[str, Mask], found: Mapping[str, Mask]
) -> Iterator[Sample]:
    """Measure what was drawn on a CT in canonical orientation, and what of a model's answer agrees with it."""
    profile = body_profile(upright)
    regions = estimate_regions(profile)
    shape = upright.grid.shape_zyx
    right = {
        code: mask
        for code, mask in found.items()
        if code in drawn and mask.voxels() and dice(mask.full(shape), drawn[code].full(shape)) >= RIGHT_DICE
    }
    for is_drawn, masks in ((True, drawn), (False, right)):
        placed = placements(masks, upright, profile, regions)
        yield Sample(name=name, is_drawn=is_drawn, regions=regions, placed=placed)


def learn(
    samples: Sequence[Sample], labels: Sequence[str], regions: Sequence[str], learned_from: str
) -> Plausibility:
    """Return the limits that follow from the samples; a structure in fewer than ten of them gets none."""
    known = [code for code in labels if sum(code in s.placed for s in samples) >= LEAST_SAMPLES]
    limits = tuple(_structure(code, [s.placed[code] for s in samples if code in s.placed]) for code in known)
    anchors = {one.code: one for one in limits}
    pairs = (_pair(anchors[a], anchors[b], samples) for a, b in combinations(known, 2))
    lengths = [length_mm(sample.regions, regions) for sample in samples]
    return Plausibility(
        learned_from=learned_from,
        regions=tuple(regions),  # type: ignore[arg-type]  # validated
        least_mm=round(REGION_SHARE * min(lengths)),
        structures=limits,
        pairs=tuple(pair for pair in pairs if pair is not None),
    )


def length_mm(estimate: RegionEstimate, wanted: Sequence[str]) -> float:
    """Return the length along z, in mm, that a scan shows of the wanted regions."""
    return estimate.length_mm(*(region for region in Region if region in wanted))


def _structure(code: str, placed: Sequence[StructurePlacement]) -> StructureLimits:
    ranges = {check: _range(check, placed) for check in LIMITED}
    ranges["inside"] = (min(ranges["inside"][0], LEAST_INSIDE), 1.0)
    cut_below = np.mean(["inferior" in where.edges for where in placed])
    return StructureLimits(
        code=code,
        regions=_regions([str(where.region) for where in placed if where.region]),  # type: ignore[arg-type]
        anchor="top" if cut_below > ELONGATED_SHARE else "middle",
        **ranges,
    )


def _regions(found: Sequence[str]) -> tuple[str, ...]:
    """Return the regions in which the structure was, and neighbours that the estimate cannot reliably distinguish."""
    common = {region for region in found if found.count(region) >= 0.01 * len(found)}
    for region, neighbours in (("head", {"neck"}), ("neck", {"head"}), ("thorax", {"neck"})):
        common |= neighbours if region in common else set()
    return tuple(str(region) for region in Region if str(region) in common)


def _range(check: str, placed: Sequence[StructurePlacement]) -> tuple[float, float]:
    every = np.array([getattr(where, check) for where in placed], float)
    sides = OUTLINES.get(check, ("inferior", "superior", "anterior", "posterior", "right", "left"))
    whole = [where for where in placed if not any(side in where.edges for side in sides)]
    if check in (*OUTLINES, "volume_cc") and len(whole) >= LEAST_SAMPLES:
        low = limits_of(np.array([getattr(where, check) for where in whole], float), logarithmic=True)[0]
        return low, limits_of(every, logarithmic=True)[1]
    return limits_of(every, logarithmic=check in LOGARITHMIC)


def limits_of(values: NDArray[np.float64], *, logarithmic: bool) -> tuple[float, float]:
    """Return the lowest and the highest plausible value, margin included, to three significant digits."""
    scale = np.log(np.maximum(values, 1e-6)) if logarithmic else values
    low, middle, high = np.quantile(scale, (OUTER, 0.5, 1 - OUTER))
    margin = MARGIN_OF_SIZES if logarithmic else MARGIN_OF_PLACES
    low, high = low - margin * (middle - low), high + margin * (high - middle)
    if logarithmic:
        low, high = np.exp(low), np.exp(high)
    return float(f"{low:.3g}"), float(f"{high:.3g}")


def _pair(first: StructureLimits, second: StructureLimits, samples: Sequence[Sample]) -> PairLimits | None:
    ranges: dict[str, tuple[float, float]] = {}
    both = [s.placed for s in samples if first.code in s.placed and second.code in s.placed]
    for axis, check in enumerate(("left_mm", "back_mm", "head_mm")):
        values = []
        for placed in both:
            ends = [(placed[one.code], one) for one in (first, second)]
            if all(is_anchored(where, one.anchor, check) for where, one in ends):
                start, end = (anchor(where, one)[axis] for where, one in ends)
                values.append(end - start)
        if len(values) < LEAST_SAMPLES:
            return None
        ranges[check] = limits_of(np.array(values), logarithmic=False)
    return PairLimits(first=first.code, second=second.code, **ranges)


def write_limits(version: Path, limits: Plausibility) -> None:
    """Write the limits into a version's contract.json, which is replaced as a whole."""
    file = version / CONTRACT_FILE
    document = json.loads(file.read_text(encoding="utf-8"))
    document["plausibility"] = limits.model_dump(mode="json")
    ModelContract.model_validate(document)
    write_atomically(file, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
