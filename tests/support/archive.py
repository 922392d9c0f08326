"""An archive for tests: a real Orthanc with phantom series in it, and a real receiver that it can send to."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imaging.ct import SourceFile
from service import wiring
from service.config import Peer, Settings, load_settings
from service.scu.client import Scu
from service.scu.outcome import Sent
from service.store import Database, JobBook
from tests.support.orthanc import Orthanc, free_port, orthanc


@dataclass(frozen=True, kw_only=True)
class Site:
    """An Orthanc, a node beside it, and how the node is told of both."""

    archive: Orthanc
    settings: Settings
    settings_file: Path
    book: JobBook

    @property
    def peer(self) -> Peer:
        return self.settings.peers["pacs"]

    def put(self, files: Sequence[SourceFile], folder: Path) -> None:
        """Store objects in the archive, by C-STORE."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, source in enumerate(files):
            path = folder / f"{number}.dcm"
            path.write_bytes(source.data)
            assert Scu(calling_aet="SCANNER", timeout_s=30).store(path, self.peer) == Sent()


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Run both; the archive knows the node by its AE title."""
    port = free_port()
    with orthanc(
        folder / "orthanc",
        {"node": ["CONTOURNODE", "127.0.0.1", port], "stray": ["STRAY", "127.0.0.1", free_port()]},
    ) as archive:
        text = _settings_text(folder / "node", port, archive.port)
        file = folder / "node.toml"
        file.write_text(text)
        settings = load_settings(file, {})
        stop = threading.Event()
        receiver = threading.Thread(target=wiring.receive, args=(settings, stop))
        receiver.start()
        database = Database(settings.database_url)
        try:
            _wait_until_it_answers(port)
            yield Site(archive=archive, settings=settings, settings_file=file, book=JobBook(database))
        finally:
            stop.set()
            receiver.join()
            database.close()


def _settings_text(storage: Path, port: int, archive_port: int) -> str:
    return f"""
[node]
storage_dir = "{storage}"
[receive]
host = "127.0.0.1"
port = {port}
[destinations.tps]
ae_title = "TPS"
host = "127.0.0.1"
port = 104
[peers.pacs]
ae_title = "ORTHANC"
host = "127.0.0.1"
port = {archive_port}
answers_queries = true
[[rules]]
name = "hn"
model = "hn_oar"
destinations = ["tps"]
"""


def _wait_until_it_answers(port: int) -> None:
    own = Peer(ae_title="CONTOURNODE", host="127.0.0.1", port=port)
    for _ in range(300):
        if Scu(calling_aet="TEST", timeout_s=5).echo(own) == Sent():
            return
    raise AssertionError("the receiver does not answer")
