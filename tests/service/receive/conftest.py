from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.audit import AuditWriter
from service.config import AuditSettings, Peer, ReceiveSettings, Rule, Sender, Settings
from service.receive.server import Receiver
from service.store import (
    AuditEvent,
    AuditLog,
    Database,
    FileStore,
    InstanceRecorder,
    JobRepository,
    JobStatus,
    upgrade,
)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A receiver on a free port, and what it keeps."""

    receiver: Receiver
    root: Path
    jobs: JobRepository
    database: Database
    audit: AuditLog
    trail: AuditWriter

    @property
    def port(self) -> int:
        return self.receiver.port

    @property
    def tls_port(self) -> int:
        port = self.receiver.tls_port
        assert port is not None
        return port

    def files(self) -> list[Path]:
        return sorted((self.root / "objects").rglob("*.dcm"))

    def parts(self) -> list[Path]:
        return sorted((self.root / "parts").iterdir())

    def job_rows(self) -> list[JobStatus]:
        return list(self.jobs.list_jobs())

    def audited(self) -> list[AuditEvent]:
        """What the trail has, once the receiver has ended and what it said is written."""
        self.receiver.stop()
        self.trail.close()
        return [entry.event for entry in self.audit.entries()]


def settings(
    audit: dict[str, object] | None = None, senders: Sequence[dict[str, object]] = (), **receive: object
) -> Settings:
    values: dict[str, object] = {"host": "127.0.0.1", "port": 0, "ae_title": "NODE"}
    values["admit"] = "peers" if senders else "anyone"
    known = {
        f"sender-{number}": Sender.model_validate({**one, "may_send": True})
        for number, one in enumerate(senders)
    }
    return Settings(
        audit=AuditSettings.model_validate(audit or {}),
        receive=ReceiveSettings.model_validate(values | receive),
        peers={"tps": Peer(ae_title="TPS", host="127.0.0.1", port=104), **known},
        rules=(Rule(name="brain", called_aet="BRAIN", model="hn_oar", destinations=("tps",)),),
    )


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Starts receivers over one storage folder and one database."""
    with ExitStack() as stack:

        def start(*, has_room: Callable[[], str | None] = lambda: None, **receive: object) -> Node:
            url = f"sqlite:///{tmp_path}/node.sqlite"
            upgrade(url)
            database = Database(url, busy_timeout_s=2)
            stack.callback(database.close)
            recorder = stack.enter_context(InstanceRecorder(database))
            root = tmp_path / "store"
            log = AuditLog(database)
            trail = stack.enter_context(AuditWriter(log, role="receive"))
            files = FileStore(root)
            receiver = stack.enter_context(
                Receiver(settings(**receive), files, recorder, trail, has_room=has_room)
            )
            return Node(
                receiver=receiver,
                root=root,
                jobs=JobRepository(database),
                database=database,
                audit=log,
                trail=trail,
            )

        yield start


@pytest.fixture
def node(start_node: Callable[..., Node]) -> Node:
    """A receiver with the default settings on a free port."""
    return start_node()
