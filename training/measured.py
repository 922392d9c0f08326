"""What a recipe takes from the training patients: largest extents of small organs, mean and sd of grey levels."""

import json
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from inference.contract import SliceStacks, Stratified
from inference.server.grey_levels import grey_levels
from training.cases import Case, CaseSource, TrainingCases
from training.recipe import Recipe, RecipeRefused


def measured(recipe: Recipe, source: CaseSource) -> Recipe:
    """Return the recipe completed by measurements of the training patients; no other patients are read.

    Measured are the largest extent (z, y, x; mm) of each small organ without a stated one and, with ``grey_levels =
    "measured"``, mean and sd of the slices' grey levels. Raises RecipeRefused for an organ that no training case has.
    """
    how = recipe.draft().native.pipeline
    if isinstance(how, Stratified):
        return _with_extents(recipe, how, source)
    if isinstance(how, SliceStacks) and recipe.grey_levels == "measured":
        return _with_grey_levels(recipe, how, source)
    return recipe


def population_grey_levels(cases: Iterable[Case], how: SliceStacks) -> tuple[float, float]:
    """Return mean and standard deviation of the grey levels (0..255 over the window) over all voxels of cases."""
    count, total, squares = 0, 0.0, 0.0
    for case in cases:
        grey = grey_levels(torch.from_numpy(np.array(case.hu_zyx)).to(torch.float32), how.window_hu).double()
        count += grey.numel()
        total += float(grey.sum())
        squares += float((grey * grey).sum())
    mean = total / count
    return mean, float(max(squares / count - mean * mean, 0.0) ** 0.5)


def _with_grey_levels(recipe: Recipe, how: SliceStacks, source: CaseSource) -> Recipe:
    mean, sd = population_grey_levels(TrainingCases(source), how)
    if sd == 0.0:
        raise RecipeRefused("the training CTs have one grey level: is window_hu the right one?")
    contract = json.loads(json.dumps(recipe.contract))
    channels = len(how.mean)
    contract["runtime"]["pipeline"] |= {"mean": [round(mean, 2)] * channels, "sd": [round(sd, 2)] * channels}
    return recipe.model_copy(update={"contract": contract, "grey_levels": "stated"})


def _with_extents(recipe: Recipe, how: Stratified, source: CaseSource) -> Recipe:
    lacking = sorted(set(how.codes) - set(source.structures))
    if lacking:
        raise RecipeRefused(f"the dataset has no {', '.join(lacking)}")
    wanted = [organ.code for organ in how.small if not any(organ.largest_extent_mm)]
    extents = {code: np.zeros(3) for code in wanted}
    for case in TrainingCases(source) if wanted else ():
        for code in wanted:
            extents[code] = np.maximum(extents[code], _extent_mm(case, source.structures.index(code)))
    never = [code for code, extent in extents.items() if not extent.any()]
    if never:
        raise RecipeRefused(f"contoured in no training case: {', '.join(never)}")
    contract = json.loads(json.dumps(recipe.contract))
    for organ in contract["runtime"]["pipeline"].get("small", []):
        if organ["code"] in extents:
            organ["largest_extent_mm"] = [round(float(side), 2) for side in extents[organ["code"]]]
    return recipe.model_copy(update={"contract": contract})


def _extent_mm(case: Case, structure: int) -> NDArray[np.float64]:
    mask = case.mask(structure)
    if not mask.any():
        return np.zeros(3)
    sides = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    voxels = np.array([side[-1] - side[0] + 1 for side in sides], np.float64)
    return np.asarray(voxels * np.array(case.spacing_zyx_mm), np.float64)
