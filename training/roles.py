"""For a recipe whose pipeline runs several networks, the recipe of each network's own run."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from inference.contract import Stratified
from training.faults import faults_of
from training.recipe import VOI, Recipe, RecipeRefused

_LOSSES = {
    "anchor": "softmax_dice_and_cross_entropy",
    "mid_level": "softmax_dice_and_cross_entropy",
    "detector": "heat_map",
    VOI: "sigmoid_dice_and_cross_entropy",
}


def kind_of(role: str) -> str:
    """Return the key of a role's settings: all volumes of interest share ``voi``."""
    return VOI if role.startswith(f"{VOI}_") else role


def role_recipe(recipe: Recipe, role: str) -> Recipe:
    """Return the recipe of one network's run: the strata that it needs, with the settings in ``roles``.

    The loss is the study's (softmax for anchors and mid-level, heat maps, a sigmoid) unless ``roles`` names another.
    Raises RecipeRefused for settings that do not fit.
    """
    how = recipe.draft().native.pipeline
    if not isinstance(how, Stratified):
        return recipe
    kind = kind_of(role)
    document = recipe.model_dump(mode="json")
    settings = {"loss": {"name": _LOSSES[kind]}, **recipe.roles.get(kind, {})}
    document = _merged(document, settings) | {"roles": {}, "contract": _contract(recipe, how, role)}
    codes = {structure["code"] for structure in document["contract"]["structures"]}
    for part, weights in (
        ("patches", "structure_weights"),
        ("patches", "case_weights"),
        ("loss", "positive_weights"),
    ):
        given = document[part][weights]
        document[part][weights] = {code: value for code, value in given.items() if code in codes}
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeRefused(f"roles.{kind}: {faults_of(error)}") from error


def learned(recipe: Recipe, role: str) -> tuple[str, ...]:
    """Return the structures that a role's network learns from.

    For a volume of interest, these are the organ and, if it has one, its partner.
    """
    pipeline = recipe.draft().native.pipeline
    if not isinstance(pipeline, Stratified):
        return recipe.draft().labels
    small = tuple(organ.code for organ in pipeline.small)
    strata = {"anchor": pipeline.anchors, "mid_level": pipeline.mid_level, "detector": small}
    return strata[role] if role in strata else _with_partner(recipe.contract, role.removeprefix(f"{VOI}_"))


def _contract(recipe: Recipe, how: Stratified, role: str) -> dict[str, Any]:
    contract: dict[str, Any] = json.loads(json.dumps(recipe.contract))
    runtime = contract["runtime"]
    later: dict[str, Any] = {"mid_level": [], "small": []}
    if role == "mid_level":
        later["mid_level"] = list(how.mid_level)
    elif role != "anchor":
        small = runtime["pipeline"]["small"]
        kept = _with_partner(contract, role.removeprefix(f"{VOI}_"))
        later["small"] = [organ for organ in small if role == "detector" or organ["code"] in kept]
    codes = {*how.anchors, *later["mid_level"], *(organ["code"] for organ in later["small"])}
    contract["structures"] = [one for one in contract["structures"] if one["code"] in codes]
    contract["left_right_pairs"] = [
        pair for pair in contract.get("left_right_pairs", []) if set(pair) <= codes
    ]
    runtime["pipeline"] |= later
    roles = {"anchor", *(["mid_level"] if later["mid_level"] else [])}
    roles |= (
        {"detector", *(f"{VOI}_{organ['code']}" for organ in later["small"])} if later["small"] else set()
    )
    runtime["networks"] = {name: one for name, one in runtime["networks"].items() if name in roles}
    return contract


def _with_partner(contract: Mapping[str, Any], code: str) -> tuple[str, ...]:
    """Return an organ and, if it has one, its partner on the other side."""
    pair: tuple[str, ...] = next(
        (tuple(p) for p in contract.get("left_right_pairs", []) if code in p), (code,)
    )
    return (code, *(other for other in pair if other != code))


def _merged(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``document`` with ``changes``: tables are merged, everything else is replaced."""
    found = dict(document)
    for key, value in changes.items():
        known = found.get(key)
        found[key] = _merged(known, value) if isinstance(value, dict) and isinstance(known, dict) else value
    return found
