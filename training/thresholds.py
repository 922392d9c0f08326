"""Thresholds of a run's structures: those of the best mean Dice on training patients; validation stays untouched."""

from pathlib import Path

import numpy as np
import torch

from evaluation.overlap import dice
from inference.contract import WholeVolumeTiles
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.pipelines.sliding_window import tiled_logits
from inference.server.pipelines.tile_predictor import TILES_AT_ONCE, tile_predictor
from training.cases import Case
from training.organ_task import OrganTask
from training.trained import trained_network

GRID = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)

Table = dict[str, dict[float, list[float]]]


def chosen_thresholds(task: OrganTask, run: Path, patients: int) -> tuple[dict[str, float], Table]:
    """The threshold of the best mean Dice a structure, the same for both of a left-right pair; and the whole table.

    ``run``: the folder with best.pt. Looks at the first training patients in whom the most structures were contoured.
    """
    network = trained_network(run, task.recipe, task.role).network
    table = _table(task, network, patients)
    means = {code: {t: float(np.mean(v)) for t, v in row.items() if v} for code, row in table.items()}
    partners = {code: pair for pair in task.contract.left_right_pairs for code in pair}
    chosen = {}
    for code in task.contract.labels:
        rows = [means[c] for c in partners.get(code, (code,)) if means[c]]
        if rows:
            chosen[code] = max(GRID, key=lambda t: sum(row[t] for row in rows))  # used at once
    return chosen, table


def _table(task: OrganTask, network: torch.nn.Module, patients: int) -> Table:
    table: Table = {code: {t: [] for t in GRID} for code in task.contract.labels}
    most = sorted(task.training_cases(), key=lambda case: -int(case.drawn.sum()))[:patients]
    if isinstance(task.how, WholeVolumeTiles):
        _fill_from_logits(table, task, task.how, network, most)
    else:
        _fill_from_masks(table, task, network, most)
    return table


def _fill_from_masks(table: Table, task: OrganTask, network: torch.nn.Module, cases: list[Case]) -> None:
    """Volumetric Dice of the pipeline's masks, predicted at each threshold."""
    for threshold in GRID:
        structures = tuple(s.model_copy(update={"threshold": threshold}) for s in task.contract.structures)
        contract = task.contract.model_copy(update={"structures": structures})
        predictor = build_pipeline(contract, {task.role: network}, torch.device("cpu"))
        for case in cases:
            planes = predictor.predict(np.asarray(case.hu_zyx), case.spacing_zyx_mm).planes
            for index, code in enumerate(contract.labels):
                if case.drawn[index]:
                    found = (planes[index // 8] >> np.uint8(index % 8)) & np.uint8(1)
                    table[code][threshold].append(dice(found.astype(bool), case.mask(index)))


def _fill_from_logits(
    table: Table, task: OrganTask, how: WholeVolumeTiles, network: torch.nn.Module, cases: list[Case]
) -> None:
    """Dice of what is above each threshold of one prediction, without post-processing."""
    predict = tile_predictor(network, how, task.cutting.mirror_order, torch.device("cpu"))
    for case in cases:
        hu = torch.from_numpy(np.array(case.hu_zyx, np.float32))
        with torch.inference_mode():
            logits = tiled_logits(hu, predict, how.tile_zyx, how.overlap, batch=TILES_AT_ONCE)
        for index, code in enumerate(task.contract.labels):
            if not case.drawn[index]:
                continue
            probability, truth = torch.sigmoid(logits[index]).numpy(), case.mask(index)
            for threshold in GRID:
                table[code][threshold].append(dice(probability > threshold, truth))
