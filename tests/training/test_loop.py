import json
from pathlib import Path

import torch
from torch import nn

from training.augment import Patch
from training.loop import Schedule, TrainingRun

SCHEDULE = Schedule(budget_s=1.5, positive_weights=(1.0,), learning_rate=0.05, warmup_steps=1)


def a_ball() -> tuple[torch.Tensor, Patch]:
    axis = torch.arange(8.0) - 3.5
    inside = (axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2) < 9
    labels = inside[None].to(torch.float32)
    return labels * 2 - 1, Patch(hu=labels[0], labels=labels, drawn=torch.tensor([True]))


def losses(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_run_learns_writes_a_checkpoint_and_ends_with_its_budget(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = nn.Conv3d(1, 1, 3, padding=1)
    run = TrainingRun(network, SCHEDULE, tmp_path)
    seen = []

    def validate(averaged: nn.Module) -> dict[str, float]:
        x, patch = a_ball()
        found = averaged(x[None])[0] > 0
        agreement = float((found == (patch.labels > 0.5)).to(torch.float32).mean())
        seen.append(agreement)
        return {"agreement": agreement}

    run.train(a_ball, validate)

    assert seen[-1] > 0.95
    assert losses(tmp_path)[-1]["agreement"] > 0.95
    assert run.progress.spent_s >= SCHEDULE.budget_s


def test_a_run_goes_on_where_its_checkpoint_stands(tmp_path: Path) -> None:
    first = TrainingRun(nn.Conv3d(1, 1, 3, padding=1), SCHEDULE, tmp_path)
    first.train(a_ball, lambda _network: {})

    second = TrainingRun(nn.Conv3d(1, 1, 3, padding=1), SCHEDULE, tmp_path)

    assert second.progress == first.progress
    for name, value in second.network.state_dict().items():
        assert torch.equal(value, first.network.state_dict()[name])
