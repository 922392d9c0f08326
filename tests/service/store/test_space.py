import logging
import os
from pathlib import Path

import pytest

from service.store import DiskGauge, DiskLevel


class Disk:
    def __init__(self) -> None:
        self.free = 500
        self.looks = 0
        self.now = 0.0

    def statvfs(self, _: Path) -> os.statvfs_result:
        self.looks += 1
        return os.statvfs_result((4096, 4096, 1000, self.free, self.free, 0, 0, 0, 0, 255))

    def gauge(self, *, at_least_bytes: int = 0) -> DiskGauge:
        return DiskGauge(
            Path("/store"),
            refuse_below_bytes=at_least_bytes,
            refuse_below_percent=2,
            warn_below_percent=10,
            statvfs=self.statvfs,
            clock=lambda: self.now,
        )


def test_the_disk_is_looked_at_once_a_second_and_a_change_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = Disk()
    gauge = disk.gauge()
    with caplog.at_level(logging.INFO):
        assert gauge() is None
        disk.free = 10
        assert (gauge(), disk.looks) == (None, 1)
        for _ in range(3):
            disk.now += 1
            assert gauge() == "disk nearly full"
        assert len(caplog.records) == 1
        disk.free, disk.now = 50, disk.now + 1
        assert (gauge(), gauge.room()) == (None, DiskLevel.LITTLE)
        disk.free, disk.now = 500, disk.now + 1
        assert gauge.room() is DiskLevel.ENOUGH
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "INFO"]


def test_the_larger_of_bytes_and_percent_counts() -> None:
    disk = Disk()
    disk.free = 100
    assert disk.gauge(at_least_bytes=100 * 4096)() is None
    assert disk.gauge(at_least_bytes=100 * 4096 + 1)() == "disk nearly full"


def test_the_real_disk_answers(tmp_path: Path) -> None:
    assert DiskGauge(tmp_path, refuse_below_bytes=0, refuse_below_percent=0, warn_below_percent=0)() is None
    full = DiskGauge(tmp_path, refuse_below_bytes=1 << 60, refuse_below_percent=0, warn_below_percent=0)
    assert full() == "disk nearly full"
