import logging
import os
from pathlib import Path

import pytest

from service.config import RetentionSettings
from service.store import DiskGauge, DiskLevel

GIB = 1 << 30


class Disk:
    def __init__(self) -> None:
        self.free = 500
        self.looks = 0
        self.now = 0.0

    def statvfs(self, _: Path) -> os.statvfs_result:
        self.looks += 1
        return os.statvfs_result((GIB, GIB, 1000, self.free, self.free, 0, 0, 0, 0, 255))

    def gauge(self, at_least_bytes: int | None = None) -> DiskGauge:
        return DiskGauge(
            Path("/store"),
            RetentionSettings(refuse_below_free_bytes=at_least_bytes),
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
        disk.free = 9
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


def test_the_bytes_of_the_settings_count_alone_and_without_them_a_gibibyte_or_a_percent() -> None:
    disk = Disk()
    disk.free = 9
    assert disk.gauge(9 * GIB)() is None
    assert disk.gauge(9 * GIB + 1)() == "disk nearly full"
    assert disk.gauge()() == "disk nearly full"
    assert RetentionSettings().refused_below(50 * GIB) == GIB


def test_the_real_disk_answers(tmp_path: Path) -> None:
    assert (
        DiskGauge(tmp_path, RetentionSettings(refuse_below_free_bytes=0, warn_below_free_percent=0))() is None
    )
    full = DiskGauge(tmp_path, RetentionSettings(refuse_below_free_bytes=1 << 50))
    assert full() == "disk nearly full"
