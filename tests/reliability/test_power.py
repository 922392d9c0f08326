"""Two power cuts that lose nothing, and one without fsync that is seen."""

from pathlib import Path

import pytest

from reliability.cut_disk import NoSuchDisk
from reliability.power import PowerCutRound, PowerTrial

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


def rounds_of(trial: PowerTrial, rounds: int) -> list[PowerCutRound]:
    try:
        return list(trial.run(rounds))
    except NoSuchDisk as reason:
        pytest.skip(f"no disk whose power can be cut: {reason}")


def test_what_was_acknowledged_outlasts_a_power_cut(tmp_path: Path) -> None:
    rounds = rounds_of(PowerTrial(folder=tmp_path / "trial", seed=2), 2)
    assert [one.wrong for one in rounds] == [[], []]
    assert all(one.acknowledged for one in rounds)
    assert not (tmp_path / "trial" / "disk").is_mount()
    assert not (tmp_path / "trial" / "device").is_mount()


def test_a_receiver_that_does_not_sync_is_seen(tmp_path: Path) -> None:
    (one,) = rounds_of(PowerTrial(folder=tmp_path / "trial", seed=2, is_broken=True), 1)
    assert any("was acknowledged, but" in line for line in one.wrong)
    assert one.controls_kept == 0
