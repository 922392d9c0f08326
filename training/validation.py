"""A published version scored on the validation patients: Dice and surface Dice at 3 mm, one structure at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.overlap import dice
from evaluation.pair import MaskPair
from evaluation.surfels import surfel_distances
from evaluation.tolerance import within
from imaging.volumes.grid import Grid
from inference.contract import load_contract
from inference.server.runtimes.catalogue import load_predictor
from training.cases import Case, CaseSource, validation_cases

TOLERANCE_MM = 3.0


class NotScored(Exception):
    """A version that cannot be scored on these data; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One structure of one patient. Surface Dice weights surface elements by area; it is 0 where nothing was found."""

    patient: str
    structure: str
    dice: float
    surface_dice: float


def scores(version: Path, source: CaseSource) -> Iterator[Score]:
    """Score the version in a folder on every validation case, each structure where it was contoured.

    The predictor is the served one. Raises ContractRefused, and NotScored for a package that does not load or
    data that lack a structure.
    """
    contract = load_contract(version)
    lacking = sorted(set(contract.labels) - set(source.structures))
    if lacking:
        raise NotScored(
            f"{version}: the data have no {', '.join(lacking)}; they have {', '.join(source.structures)}"
        )
    try:
        predictor = load_predictor(contract, version, torch.device("cpu"))
    except (ValueError, OSError) as error:
        raise NotScored(f"{version} cannot be loaded: {error}") from error
    order = [source.structures.index(code) for code in contract.labels]
    for name in validation_cases(source):
        case = source.case(name)
        with torch.inference_mode():
            planes = predictor.predict(np.array(case.hu_zyx), case.spacing_zyx_mm).planes
        for bit, (code, index) in enumerate(zip(contract.labels, order, strict=True)):
            if case.drawn[index]:
                found = ((planes[bit // 8] >> np.uint8(bit % 8)) & np.uint8(1)).astype(np.bool_)
                truth = case.mask(index)
                yield Score(
                    patient=name,
                    structure=code,
                    dice=dice(found, truth),
                    surface_dice=surface_dice(found, truth, grid_of(case)),
                )


def surface_dice(found: NDArray[np.bool_], truth: NDArray[np.bool_], grid: Grid) -> float:
    """Return the share of both surfaces' area within 3 mm of the other; masks (z, y, x), the truth not empty."""
    if not found.any():
        return 0.0
    distances = surfel_distances(MaskPair.of_arrays(found, truth, grid))
    sides = (
        (distances.from_found, distances.found_areas),
        (distances.from_reference, distances.reference_areas),
    )
    near = sum(float(areas[within(values, TOLERANCE_MM)].sum()) for values, areas in sides)
    return near / sum(float(areas.sum()) for _, areas in sides)


def grid_of(case: Case) -> Grid:
    """Return the case's grid, with an arbitrary origin."""
    z, y, x = case.hu_zyx.shape
    return Grid(
        shape_zyx=(z, y, x),
        origin_lps=(0.0, 0.0, 0.0),
        spacing_zyx_mm=case.spacing_zyx_mm,
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )


def as_table(found: list[Score]) -> str:
    """Return a Markdown table, a row per structure; the last row averages over structures, not over patients."""
    lines = [
        "| structure | patients | mean Dice | SD | min | max | surface Dice at 3 mm | SD |",
        "|---|---|---|---|---|---|---|---|",
    ]
    means = []
    for code in dict.fromkeys(score.structure for score in found):
        rows = [score for score in found if score.structure == code]
        overlap, surface = np.array([r.dice for r in rows]), np.array([r.surface_dice for r in rows])
        means.append((overlap.mean(), surface.mean()))
        spread = [values.std(ddof=1) if len(values) > 1 else 0.0 for values in (overlap, surface)]
        lines.append(
            f"| {code} | {len(rows)} | {overlap.mean():.3f} | {spread[0]:.3f} | {overlap.min():.3f} | {overlap.max():.3f} "
            f"| {surface.mean():.3f} | {spread[1]:.3f} |"
        )
    both = np.mean(means, axis=0)
    lines.append(f"| mean of the {len(means)} | | {both[0]:.3f} | | | | {both[1]:.3f} | |")
    return "\n".join(lines)
