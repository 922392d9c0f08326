from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.config import Peer, ReceiveSettings, Rule, Settings
from service.receive.server import Receiver
from service.store import Database, FileStore, JobBook, JobStatus, Recorder, upgrade


@dataclass(frozen=True, kw_only=True)
class Node:
    """A receiver on a free port, and what it keeps."""

    receiver: Receiver
    root: Path
    jobs: JobBook
    database: Database

    @property
    def port(self) -> int:
        return self.receiver.port

    def files(self) -> list[Path]:
        return sorted((self.root / "objects").rglob("*.dcm"))

    def parts(self) -> list[Path]:
        return sorted((self.root / "parts").iterdir())

    def job_rows(self) -> list[JobStatus]:
        return list(self.jobs.list_jobs())


def settings(**receive: object) -> Settings:
    values: dict[str, object] = {"host": "127.0.0.1", "port": 0, "ae_title": "NODE"}
    return Settings(
        receive=ReceiveSettings.model_validate(values | receive),
        destinations={"tps": Peer(ae_title="TPS", host="127.0.0.1", port=104)},
        rules=(Rule(name="brain", called_aet="BRAIN", model="hn_oar", destinations=("tps",)),),
    )


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Starts receivers over one storage folder and one database."""
    with ExitStack() as stack:

        def start(**receive: object) -> Node:
            url = f"sqlite:///{tmp_path}/node.sqlite"
            upgrade(url)
            database = Database(url, busy_timeout_s=2)
            stack.callback(database.close)
            recorder = stack.enter_context(Recorder(database))
            root = tmp_path / "store"
            receiver = stack.enter_context(Receiver(settings(**receive), FileStore(root), recorder))
            return Node(receiver=receiver, root=root, jobs=JobBook(database), database=database)

        yield start


@pytest.fixture
def node(start_node: Callable[..., Node]) -> Node:
    """A receiver with the default settings on a free port."""
    return start_node()
