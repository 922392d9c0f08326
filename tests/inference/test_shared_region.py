"""Shared memory that goes with its owner, however the owner ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from inference.shared_region import PREFIX, SharedRegion, is_gone, offsets, remove_leftovers

SHM = Path("/dev/shm")
OWNER = """
import sys, time
from inference.shared_region import SharedRegion
region = SharedRegion(4096)
print(region.name, flush=True)
time.sleep(60)
"""


def test_what_is_written_is_seen_under_the_name_and_only_by_the_owner() -> None:
    with SharedRegion(8192) as region:
        region.view(64, (3, 5), np.int16)[...] = np.arange(15).reshape(3, 5)
        raw = (SHM / region.name).read_bytes()
        assert len(raw) == 8192
        assert np.frombuffer(raw, np.int16, 15, 64).tolist() == list(range(15))
        assert (SHM / region.name).stat().st_mode & 0o077 == 0
        assert region.key == f"/{region.name}"
    assert is_gone(region.name)


def test_it_goes_also_when_a_view_is_still_held_or_an_error_passes() -> None:
    def fail() -> None:
        with SharedRegion(4096) as region:
            held.append(region.view(0, (4096,), np.uint8))
            raise KeyError(region.name)

    held: list[np.ndarray] = []
    with pytest.raises(KeyError) as error:
        fail()
    assert is_gone(error.value.args[0])
    assert held[0].sum() == 0


def test_more_memory_than_there_is_is_an_error_and_leaves_nothing() -> None:
    before = set(SHM.glob(f"{PREFIX}*"))
    with pytest.raises(OSError, match=r"space|allocate|large"):
        SharedRegion(1 << 50)
    assert set(SHM.glob(f"{PREFIX}*")) <= before


def test_leftovers_of_the_dead_are_removed_and_regions_in_use_stay() -> None:
    with (
        SharedRegion(4096) as mine,
        subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner,
    ):
        assert owner.stdout is not None
        theirs = owner.stdout.readline().strip()
        long_ago = time.time() - 3600
        for name in (mine.name, theirs):
            os.utime(SHM / name, (long_ago, long_ago))
        assert theirs not in remove_leftovers()
        owner.kill()
        owner.wait()
        assert theirs in remove_leftovers()
        assert not is_gone(mine.name)
    assert not is_gone("somebody-elses")


def test_what_nobody_has_locked_is_a_leftover_however_young() -> None:
    fresh = SHM / f"{PREFIX}test-{os.getpid()}"
    fresh.touch()
    remove_leftovers()
    assert not fresh.exists()


def test_pieces_lie_aligned_and_apart() -> None:
    assert offsets({"a": 1, "b": 64, "c": 65, "d": 0}) == ({"a": 0, "b": 64, "c": 128, "d": 256}, 256)
    assert offsets({"nothing": 0}) == ({"nothing": 0}, 64)


def test_no_descriptor_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(3):
        with SharedRegion(4096):
            pass
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
