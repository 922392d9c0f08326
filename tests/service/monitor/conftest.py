from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.config import RetentionSettings, Settings
from service.monitor.echoes import PeerEchoes
from service.monitor.monitor import Monitor, MonitorParts
from service.store import Database, DiskGauge, InstanceRecorder
from tests.support.arrivals import Node
from tests.support.clock import ManualClock
from tests.support.destinations import free_port, start_destination

__all__ = ["free_port", "start_destination"]

RULE = {"name": "hn", "model": "hn_oar", "destinations": ["tps"], "alarm_s": 600}


@dataclass
class Watched:
    """A node without processes, and one who watches it."""

    node: Node
    clock: ManualClock
    folder: Path

    def settings(self, **watch: object) -> Settings:
        return Settings.model_validate(
            {
                "node": {"storage_dir": self.folder},
                "receive": {"port": 0},
                "advanced": {name: watch.pop(name) for name in ("silent_s",) if name in watch},
                "monitor": {"port": 0, **watch},
                "peers": {"tps": {"ae_title": "TPS", "host": "127.0.0.1", "port": 104}},
                "rules": [RULE],
            }
        )

    def parts(self, settings: Settings, *, refuse_below_bytes: int = 0) -> MonitorParts:
        return MonitorParts(
            settings=settings,
            database=self.node.database,
            prepare=lambda: None,
            is_model_server_live=lambda: True,
            echoes=PeerEchoes(settings),
            gauge=DiskGauge(
                self.folder,
                RetentionSettings(refuse_below_free_bytes=refuse_below_bytes, warn_below_free_percent=0),
            ),
        )

    def monitor(self, **watch: object) -> Monitor:
        return Monitor(self.parts(self.settings(**watch)))


@pytest.fixture
def watched(database_url: str, tmp_path: Path) -> Iterator[Watched]:
    clock = ManualClock()
    database = Database(database_url, clock=clock, monotonic=clock.monotonic)
    folder = tmp_path / "store"
    folder.mkdir()
    with InstanceRecorder(database) as recorder:
        yield Watched(
            node=Node(database=database, clock=clock, recorder=recorder), clock=clock, folder=folder
        )
    database.close()
