"""What a case needs is known before it is sent, and compared with what the host and its control groups have."""

from dataclasses import replace
from pathlib import Path

import pytest

from imaging.volumes.grid import Grid
from inference.case_memory import make_room_for, memory_need_bytes
from inference.contract import load_contracts
from inference.errors import CaseTooLarge, ModelUnavailable
from inference.host_memory import Memory, host_memory
from tests.support.models import moody_contract
from tests.support.triton import REPOSITORY
from tests.support.volumes import air, volume

MODELS = load_contracts(REPOSITORY / "model_repository")
GB = 10**9


def grid(slices: int, side: int) -> Grid:
    return volume(air((slices, side, side)), (2.5, 0.8, 0.8)).grid


# Measured by `python -m bench.case_memory`: model, slices, rows = columns, GB.
MEASURED = (
    ("hn_oar", 60, 512, 0.25),
    ("hn_oar", 200, 512, 0.54),
    ("hn_oar", 60, 1024, 0.65),
    ("phantom_lung_gtv", 200, 512, 0.46),
    ("phantom_lung_gtv", 60, 1024, 0.60),
    ("phantom_cervix_ctv", 200, 512, 0.50),
    ("phantom_cervix_ctv", 60, 1024, 0.61),
)


@pytest.mark.parametrize(("model", "slices", "side", "measured_gb"), MEASURED)
def test_the_estimate_is_above_what_was_measured_but_not_far(
    model: str, slices: int, side: int, measured_gb: float
) -> None:
    estimate = memory_need_bytes(MODELS[model], grid(slices, side)) / GB
    assert measured_gb <= estimate <= 2.2 * measured_gb


def test_every_model_has_an_estimate_that_grows_with_the_volume() -> None:
    for contract in (*MODELS.values(), moody_contract()):
        small, large = (memory_need_bytes(contract, grid(slices, 256)) for slices in (20, 80))
        here, there = (
            memory_need_bytes(contract, grid(80, 256), is_server_here=place) for place in (True, False)
        )
        assert 0 < small < large
        assert 0 < there < here


def test_a_case_waits_or_is_refused_with_figures() -> None:
    memory = Memory(total_bytes=8 * GB, available_bytes=3 * GB, whose="this host")
    memory.admit(3 * GB, "a case")
    with pytest.raises(
        ModelUnavailable, match=r"needs about 4\.0 GB of memory; 3\.0 of 8\.0 GB of this host are free"
    ):
        memory.admit(4 * GB, "a case")
    with pytest.raises(
        CaseTooLarge, match=r"needs about 9\.0 GB of memory, and this host has 8\.0 GB in all"
    ):
        memory.admit(9 * GB, "a case")


def test_what_models_hold_is_given_back_before_a_case_waits() -> None:
    memory = Memory(total_bytes=8 * GB, available_bytes=1 * GB, whose="this host")
    found = [memory]

    def free() -> None:
        found[0] = replace(memory, available_bytes=6 * GB)

    make_room_for(4 * GB, "hn_oar", grid(2, 8), lambda: found[0], free)
    with pytest.raises(ModelUnavailable):
        make_room_for(7 * GB, "hn_oar", grid(2, 8), lambda: found[0], free)


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_tightest_limit_counts_wherever_it_stands(tmp_path: Path) -> None:
    unlimited = written(tmp_path / "a", {"proc/self/cgroup": "0::/\n"})
    assert host_memory(unlimited).available_bytes == 9000000 << 10

    outer = "sys/fs/cgroup/system.slice"
    second = written(
        tmp_path / "b",
        {
            "proc/self/cgroup": "0::/system.slice/node.service\n",
            f"{outer}/node.service/memory.max": "max\n",
            f"{outer}/memory.max": str(4 * GB),
            f"{outer}/memory.current": str(3 * GB),
            f"{outer}/memory.stat": f"anon 1\ninactive_file {GB}\n",
        },
    )
    memory = host_memory(second)
    assert (memory.total_bytes, memory.available_bytes) == (4 * GB, 2 * GB)
    assert "system.slice" in memory.whose

    first = written(
        tmp_path / "c",
        {
            "proc/self/cgroup": "5:memory:/docker/x\n4:cpu:/docker/x\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(2 * GB),
            "sys/fs/cgroup/memory/memory.usage_in_bytes": str(GB),
        },
    )
    assert host_memory(first).available_bytes == GB
    assert host_memory().total_bytes > 0
