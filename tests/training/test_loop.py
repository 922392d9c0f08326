"""The loop: learning, curves, exact resumption, refusals."""

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from tests.support.training import BallTask
from training.checkpoints import CheckpointRefused
from training.loop import Batch, Schedule, TrainingRun, TrainingStopped

SCHEDULE = Schedule(
    steps=60,
    learning_rate=0.05,
    warmup_steps=5,
    averaging=0.8,
    validate_every=30,
    checkpoint_every=10,
    batch=2,
)


class Recording(BallTask):
    """Keeps the losses, and may fall over at a step."""

    def __init__(self, dies_at: int | None = None) -> None:
        super().__init__()
        self.losses: list[float] = []
        self._dies_at = dies_at

    def loss(self, network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
        if self._dies_at is not None and len(self.losses) == self._dies_at:
            raise KeyboardInterrupt
        loss = super().loss(network, batch, progress)
        self.losses.append(float(loss.detach()))
        return loss


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as content:
        return list(csv.DictReader(content))


def test_a_run_learns_and_writes_curves_pictures_and_checkpoints(tmp_path: Path) -> None:
    task = BallTask()
    state = TrainingRun(task, SCHEDULE, tmp_path).train()
    assert state.step == 60
    assert task.validated[-1] > 0.95
    assert [row["step"] for row in rows(tmp_path / "validation.csv")] == ["30", "60"]
    assert float(rows(tmp_path / "validation.csv")[-1]["mean"]) == pytest.approx(task.validated[-1], abs=1e-4)
    losses = [float(row["loss"]) for row in rows(tmp_path / "losses.csv")]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    with Image.open(tmp_path / "predictions" / "step_000060.png") as picture:
        assert picture.size == (6, 4)
    assert torch.load(tmp_path / "best.pt", weights_only=True)["state"]["best_mean"] == max(task.validated)
    assert not list(tmp_path.glob("*.part"))


def test_an_interrupted_run_goes_on_with_the_losses_that_it_would_have_had(tmp_path: Path) -> None:
    """Dropout, averaged weights, optimiser and samples: all go on.

    Broken off at step 37, the last checkpoint is of 30.
    """
    whole = Recording()
    finished = TrainingRun(whole, SCHEDULE, tmp_path / "whole")
    finished.train()
    with pytest.raises(KeyboardInterrupt):
        TrainingRun(Recording(dies_at=37), SCHEDULE, tmp_path / "broken").train()
    rest = Recording()
    resumed = TrainingRun(rest, SCHEDULE, tmp_path / "broken")
    assert resumed.state.step == 30
    resumed.train()
    assert rest.losses == whole.losses[30:]
    for name, value in finished.averaged.items():
        assert torch.equal(value, resumed.averaged[name])
    assert rows(tmp_path / "broken" / "losses.csv")[-1]["step"] == "60"
    assert [row["step"] for row in rows(tmp_path / "broken" / "validation.csv")] == ["30", "60"]


def test_other_seeds_give_other_losses(tmp_path: Path) -> None:
    tasks = [Recording(), Recording()]
    for seed, task in enumerate(tasks):
        TrainingRun(
            task, SCHEDULE.model_copy(update={"steps": 3, "seed": seed}), tmp_path / str(seed)
        ).train()
    assert tasks[0].losses != tasks[1].losses


def test_a_loss_that_is_no_number_ends_the_run_and_leaves_the_checkpoint(tmp_path: Path) -> None:
    class Diverging(BallTask):
        def loss(self, network: nn.Module, batch: Batch, progress: float) -> torch.Tensor:
            return super().loss(network, batch, progress) * (float("nan") if progress > 0.4 else 1.0)

    with pytest.raises(TrainingStopped, match="the loss is nan at step 26: lower learning_rate"):
        TrainingRun(Diverging(), SCHEDULE, tmp_path).train()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["state"]["step"] == 20
    assert all(torch.isfinite(value).all() for value in state["network"].values())


def test_a_folder_of_another_network_is_refused(tmp_path: Path) -> None:
    class Wider(BallTask):
        def network(self) -> torch.nn.Module:
            return torch.nn.Conv3d(1, 1, 5, padding=2)

    TrainingRun(BallTask(), SCHEDULE.model_copy(update={"steps": 1}), tmp_path).train()
    with pytest.raises(TrainingStopped, match="does not fit the network"):
        TrainingRun(Wider(), SCHEDULE, tmp_path)


def test_the_rate_warms_up_and_falls_to_its_floor() -> None:
    schedule = Schedule(steps=100, learning_rate=1.0, warmup_steps=10, decay_power=1.0)
    assert schedule.rate(0) == pytest.approx(0.1)
    assert schedule.rate(50) == pytest.approx(0.5)
    assert schedule.rate(100) == pytest.approx(0.003)


def test_a_damaged_checkpoint_is_refused_and_kept(tmp_path: Path) -> None:
    TrainingRun(BallTask(), SCHEDULE.model_copy(update={"steps": 1}), tmp_path).train()
    file = tmp_path / "checkpoint.pt"
    for content in (file.read_bytes()[:200], b""):
        file.write_bytes(content)
        with pytest.raises(CheckpointRefused, match=r"checkpoint\.pt is damaged: restore it from a copy"):
            TrainingRun(BallTask(), SCHEDULE, tmp_path)
        assert file.read_bytes() == content
