"""Archives for tests, Orthanc and DCMTK's dcmqrscp, each with a real receiver that it can send to."""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imaging.ct.series import SourceFile
from inference.ports import free_port
from service.config import Peer, Settings, load_settings
from service.scu.client import Scu
from service.scu.outcome import Sent
from service.store import Database, JobRepository
from service.wiring import receive
from tests.support.node import until
from tests.support.orthanc import orthanc


@dataclass(frozen=True, kw_only=True)
class Site:
    """An archive, a node beside it, and how the node is told of both."""

    settings: Settings
    settings_file: Path
    book: JobRepository

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
    """An Orthanc and a node; the archive knows the node by its AE title."""
    port = free_port()
    stray = ["STRAY", "127.0.0.1", free_port()]
    modalities = {"node": ["CONTOURNODE", "127.0.0.1", port], "stray": stray}
    with (
        orthanc(folder / "orthanc", modalities) as archive,
        _node_beside(folder, port, "ORTHANC", archive.port) as site,
    ):
        yield site


@contextmanager
def running_dcmtk_site(folder: Path) -> Iterator[Site]:
    """DCMTK's dcmqrscp and a node; the archive knows the node by its AE title."""
    port, archive_port = free_port(), free_port()
    (folder / "archive").mkdir(parents=True)
    settings = folder / "dcmqrscp.cfg"
    settings.write_text(f"""NetworkTCPPort = {archive_port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
node = (CONTOURNODE, 127.0.0.1, {port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
DCMQRSCP {folder}/archive RW (200, 1024mb) ANY
AETable END
""")
    with (folder / "dcmqrscp.log").open("wb") as log:
        process = subprocess.Popen(["dcmqrscp", "-c", str(settings)], stdout=log, stderr=log)
        try:
            _wait_until_it_answers("DCMQRSCP", archive_port)
            with _node_beside(folder, port, "DCMQRSCP", archive_port) as site:
                yield site
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def _node_beside(folder: Path, port: int, archive_aet: str, archive_port: int) -> Iterator[Site]:
    file = folder / "node.toml"
    file.write_text(_settings_text(folder / "node", port, archive_aet, archive_port))
    settings = load_settings(file, {})
    stop = threading.Event()
    receiver = threading.Thread(target=receive(), args=(settings, stop))
    receiver.start()
    try:
        _wait_until_it_answers("CONTOURNODE", port)
        database = Database(settings.database_url)
        yield Site(settings=settings, settings_file=file, book=JobRepository(database))
        database.close()
    finally:
        stop.set()
        receiver.join()


def _settings_text(storage: Path, port: int, archive_aet: str, archive_port: int) -> str:
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
ae_title = "{archive_aet}"
host = "127.0.0.1"
port = {archive_port}
answers_queries = true
[[rules]]
name = "hn"
model = "hn_oar"
destinations = ["tps"]
"""


def _wait_until_it_answers(ae_title: str, port: int) -> None:
    peer = Peer(ae_title=ae_title, host="127.0.0.1", port=port)
    client = Scu(calling_aet="TEST", timeout_s=5)
    until(lambda: client.echo(peer) == Sent(), why=f"{ae_title} does not answer")
