"""Two processes with gloo learn what one process learns."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.training import BallTask
from training.distributed import World
from training.loop import Schedule, TrainingRun, TrainingStopped

ROOT = Path(__file__).resolve().parents[2]
SCHEDULE = Schedule(
    steps=6, batch=2, learning_rate=0.02, warmup_steps=1, validate_every=6, checkpoint_every=3
)
WORKER = f"""
import sys
from pathlib import Path
import torch
from tests.support.training import BallTask
from training.distributed import joined_world
from training.loop import Schedule, TrainingRun
torch.set_num_threads(1)
with joined_world() as world:
    assert world.size == 2
    schedule = Schedule(**{SCHEDULE.model_dump()!r})
    TrainingRun(BallTask(dropout=0.0), schedule, Path(sys.argv[1]), world).train()
"""


@pytest.mark.network
def test_two_processes_give_the_weights_of_one(tmp_path: Path) -> None:
    """The batch of 2 falls to two processes; gradients are means of theirs: equal but for the order of sums."""
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, str(worker), str(tmp_path / "two")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
        check=False,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
    )
    assert done.returncode == 0, done.stderr
    one = TrainingRun(BallTask(dropout=0.0), SCHEDULE, tmp_path / "one")
    one.train()
    two = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    for name, value in one.network.state_dict().items():
        assert torch.allclose(two["network"][name], value, rtol=1e-4, atol=1e-6), name
    figures = [(tmp_path / folder / "validation.csv").read_text() for folder in ("one", "two")]
    assert figures[0] == figures[1]


def test_a_batch_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingStopped, match="a batch of 2 does not divide by 3 processes"):
        TrainingRun(BallTask(), SCHEDULE, tmp_path, World(rank=0, size=3))
