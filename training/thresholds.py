"""Thresholds of a run's structures: those with the best mean Dice on training patients; validation is not used."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from evaluation.overlap import dice
from inference.contract import ModelContract, WholeVolumeTiles
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.pipelines.sliding_window import tiled_logits
from inference.server.pipelines.tile_predictor import TILES_AT_ONCE, tile_predictor
from training.cases import Case, CaseSource, TrainingCases
from training.organ_task import dice_by_case, mirror_order, predicted
from training.recipe import Recipe, RecipeRefused
from training.trained import trained_networks

GRID = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)

Table = dict[str, dict[float, list[float]]]
Networks = Mapping[str, nn.Module]


def chosen_thresholds(
    recipe: Recipe, source: CaseSource, run: Path, patients: int
) -> tuple[dict[str, float], Table]:
    """Return each structure's threshold of best mean Dice, the same for a left-right pair; and the whole table.

    ``run`` is the folder with best.pt or, for several networks, the folders of all roles. Uses the first training
    patients in whom the most structures were contoured. Raises RecipeRefused, CheckpointRefused.
    """
    contract = recipe.draft()
    networks = {role: found.network for role, found in trained_networks(run, recipe).items()}
    table = _table(contract, networks, _training_cases(contract, source, patients))
    means = {code: {t: float(np.mean(v)) for t, v in row.items() if v} for code, row in table.items()}
    partners = {code: pair for pair in contract.left_right_pairs for code in pair}
    chosen = {}
    for code in contract.labels:
        rows = [means[c] for c in partners.get(code, (code,)) if means[c]]
        if rows:
            chosen[code] = max(GRID, key=lambda t: sum(row[t] for row in rows))  # used at once
    return chosen, table


def _training_cases(contract: ModelContract, source: CaseSource, patients: int) -> list[Case]:
    lacking = sorted(set(contract.labels) - set(source.structures))
    if lacking:
        raise RecipeRefused(f"the dataset has no {', '.join(lacking)}")
    order = [source.structures.index(code) for code in contract.labels]
    cases = (case.with_structures(order) for case in TrainingCases(source))
    return sorted(cases, key=lambda case: -int(case.drawn.sum()))[:patients]


def _table(contract: ModelContract, networks: Networks, cases: list[Case]) -> Table:
    table: Table = {code: {t: [] for t in GRID} for code in contract.labels}
    how = contract.native.pipeline
    if isinstance(how, WholeVolumeTiles):
        _fill_from_logits(table, contract, how, networks["network"], cases)
    else:
        _fill_from_masks(table, contract, networks, cases)
    return table


def _fill_from_masks(table: Table, contract: ModelContract, networks: Networks, cases: list[Case]) -> None:
    """Fill in the volumetric Dice of the pipeline's masks, predicted at each threshold."""
    for threshold in GRID:
        structures = tuple(s.model_copy(update={"threshold": threshold}) for s in contract.structures)
        tried = contract.model_copy(update={"structures": structures})
        predictor = build_pipeline(tried, networks, torch.device("cpu"))
        with torch.inference_mode():
            found = dice_by_case(predicted(predictor, tried, cases, tried.labels))
        for row in found.values():
            for code, value in row.items():
                table[code][threshold].append(value)


def _fill_from_logits(
    table: Table, contract: ModelContract, how: WholeVolumeTiles, network: nn.Module, cases: list[Case]
) -> None:
    """Fill in the Dice of one prediction cut at each threshold, without post-processing."""
    mirror = mirror_order(contract.labels, contract.left_right_pairs)
    predict = tile_predictor(network, how, mirror, torch.device("cpu"))
    for case in cases:
        hu = torch.from_numpy(np.array(case.hu_zyx, np.float32))
        with torch.inference_mode():
            logits = tiled_logits(hu, predict, how.tile_zyx, how.overlap, batch=TILES_AT_ONCE)
        for index, code in enumerate(contract.labels):
            if not case.drawn[index]:
                continue
            probability, truth = torch.sigmoid(logits[index]).numpy(), case.mask(index)
            for threshold in GRID:
                table[code][threshold].append(dice(probability > threshold, truth))
