"""The scores of a study's runs on the validation patients, and its table."""

import time
from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from evaluation.distances import border_distances
from evaluation.geometry import border_values
from evaluation.overlap import dice
from evaluation.pair import MaskPair
from evaluation.statistics import paired_wilcoxon
from inference.contract import SliceStacks
from inference.server.pipelines.slice_stacks import SLICES_AT_ONCE
from inference.server.serving_form import serving_form
from training.organ_task import OrganTask, Predicted
from training.validation import grid_of

Scores = dict[str, dict[str, float]]  # by patient and structure

HD95 = "hausdorff95_pooled_mm"  # defined in evaluation.definitions
_ROUNDS = 5


class RunScores(BaseModel):
    """One run: Dice, HD95 in mm where something was found, the network's size and, for slices, its cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dice: Scores
    hd95_mm: Scores
    parameters: int
    ms_a_slice: float | None = None  # CPU time, float32


def scored(task: OrganTask, network: nn.Module) -> RunScores:
    """Score a network in evaluation mode as it would be served, and measure the cost of a slice."""
    parameters = sum(values.numel() for values in network.parameters())
    found = run_scores(task.predicted(network), parameters)
    if not isinstance(task.how, SliceStacks):
        return found
    with torch.inference_mode():
        return found.model_copy(update={"ms_a_slice": ms_a_slice(network, task.how)})


def run_scores(predicted: Iterable[Predicted], parameters: int) -> RunScores:
    """Score the predictions for validation cases."""
    overlap: Scores = {}
    distance: Scores = {}
    with torch.inference_mode():
        for case, pairs in predicted:
            overlap[case.name] = {label: dice(found, truth) for label, found, truth in pairs}
            masks = {label: MaskPair.of_arrays(found, truth, grid_of(case)) for label, found, truth in pairs}
            distance[case.name] = {
                label: float(border_values(border_distances(pair), ())[HD95] or 0.0)
                for label, pair in masks.items()
                if pair.found_voxels
            }
    return RunScores(dice=overlap, hd95_mm=distance, parameters=parameters)


def ms_a_slice(network: nn.Module, how: SliceStacks) -> float:
    """Return the CPU milliseconds per slice of the pipeline's frame, the least of five rounds of a served batch."""
    device, served = next(network.parameters()).device, serving_form(network)
    channels = max(how.slices, len(how.mean))
    inputs = torch.zeros((SLICES_AT_ONCE, channels, *how.frame.size_yx), device=device)
    return min(_cpu_ms(partial(served, inputs)) for _ in range(_ROUNDS)) / SLICES_AT_ONCE


def _cpu_ms(call: partial[object]) -> float:
    started = time.process_time()
    call()
    return 1000 * (time.process_time() - started)


def as_table(found: Mapping[str, list[RunScores]]) -> str:
    """Return a Markdown table of means over structures of means over patients, and SD over the first seed's patients.

    HD95 is the mean over the patients in whom the structure was found; how many were not is stated beside it. The test
    pairs patients (the mean of Dice over their structures and over seeds) with the first row's.
    """
    structures = _structures(found)
    lines = [
        f"| recipe | parameters | ms a slice | seeds | {' | '.join(structures)} | mean Dice | spread of seeds "
        "| SD of patients | difference | p | HD95 pooled, mm | not found |",
        "|" + "---|" * (len(structures) + 11),
    ]
    first = _by_patient(next(iter(found.values())))
    for name, runs in found.items():
        cells = [name, *_size(runs), str(len(runs)), *_overlap(runs, structures), *_against(first, runs)]
        lines.append(f"| {' | '.join([*cells, *_distance(runs)])} |")
    return "\n".join(lines)


def _size(runs: list[RunScores]) -> tuple[str, str]:
    costs = [run.ms_a_slice for run in runs if run.ms_a_slice is not None]
    return f"{runs[0].parameters / 1e6:.2f} M", f"{min(costs):.1f}" if costs else ""


def _overlap(runs: list[RunScores], structures: list[str]) -> list[str]:
    by_structure = [np.mean([_mean(run.dice, code) for run in runs]) for code in structures]
    means = [float(np.mean([_mean(run.dice, code) for code in structures])) for run in runs]
    spread = f"{min(means):.3f} to {max(means):.3f}" if len(means) > 1 else "one run"
    return [*(f"{value:.3f}" for value in by_structure), f"{np.mean(means):.3f}", spread]


def _against(first: Mapping[str, float], runs: list[RunScores]) -> tuple[str, str, str]:
    own = _by_patient(runs)
    pairs = ([own[p] for p in first], [first[p] for p in first])
    p = paired_wilcoxon(*pairs).p
    patients = f"{np.std(list(own.values()), ddof=1):.3f}" if len(own) > 1 else "one patient"
    words = "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
    return patients, f"{float(np.mean(np.subtract(*pairs))):+.3f}", words


def _distance(runs: list[RunScores]) -> tuple[str, str]:
    values = [v for run in runs for row in run.hd95_mm.values() for v in row.values()]
    wanted = sum(len(row) for run in runs for row in run.dice.values())
    if not values:
        return "", f"{wanted} of {wanted}"
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}", f"{wanted - len(values)} of {wanted}"


def _structures(found: Mapping[str, list[RunScores]]) -> list[str]:
    return list(
        dict.fromkeys(
            code for runs in found.values() for run in runs for row in run.dice.values() for code in row
        )
    )


def _mean(scores: Scores, code: str) -> float:
    return float(np.mean([row[code] for row in scores.values() if code in row]))


def _by_patient(runs: list[RunScores]) -> dict[str, float]:
    first = runs[0].dice
    return {
        p: float(np.mean([np.mean(list(run.dice[p].values())) for run in runs])) for p in first if first[p]
    }
