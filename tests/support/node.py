"""The whole node as processes of its own, with a TPS and scanners round it, for tests from outside."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import psutil
from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.sop_class import RTStructureSetStorage, Verification

from service.config import load_settings
from service.demo.node import ENDED
from service.store import Database, JobRepository, JobState, JobStatus

REPOSITORY = Path(__file__).resolve().parents[2]
TRITON_ENVIRONMENT = REPOSITORY / ".venv-triton"
ROLES = ("triton", "receive", "assemble", "work", "send", "monitor")


def until(what: Callable[[], object], *, seconds: float = 60.0, why: str = "") -> object:
    """What `what` returns, as soon as it is true; an AssertionError when it never is."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {why or what}")


@dataclass
class Tps:
    """A storage SCP that remembers the bytes of every object it was sent, and answers what it is told to."""

    status: int = 0x0000
    received: list[bytes] = field(default_factory=list)
    port: int = 0

    def keep(self, event: evt.Event) -> int:
        self.received.append(event.encoded_dataset())
        return self.status

    def forget(self) -> None:
        """Stand there as on the first day."""
        self.status = 0x0000
        self.received.clear()

    def sop_instance_uids(self) -> set[str]:
        return {str(dcmread(BytesIO(data)).SOPInstanceUID) for data in self.received}


@contextmanager
def running_tps() -> Iterator[Tps]:
    tps = Tps()
    entity = AE("TPS")
    entity.add_supported_context(RTStructureSetStorage)
    entity.add_supported_context(Verification)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, tps.keep)])
    tps.port = server.server_address[1]
    yield tps
    server.shutdown()


@dataclass
class Node:
    """One node: its settings, its processes, and the admin's view of its jobs."""

    folder: Path
    settings_file: Path
    port: int
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "node.log"

    def start(self, *, verb: str = "serve") -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service", verb, "--settings", str(self.settings_file)],
                cwd=REPOSITORY,
                stdout=log,
                stderr=log,
            )
        until(self._listens, seconds=120, why="the receiver listens")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(60) == 0, self.log.read_text()[-3000:]

    def kill(self, role: str) -> None:
        """`kill -9` of one role's process, or of the whole node's parent ('serve')."""
        assert self._process is not None
        if role == "serve":
            self._process.kill()
            self._process.wait(30)
            return
        process = self._role(role)
        os.kill(process.pid, signal.SIGKILL)
        until(lambda: _is_gone(process), seconds=30, why=f"{role} is gone")

    @contextmanager
    def without(self, role: str) -> Iterator[None]:
        """A role is killed and stays away, for its supervisor is held, until the context ends."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            self.kill(role)
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def is_whole(self) -> bool:
        """Whether every role runs and the receiver listens."""
        running = [word for child in self._children() for word in child.cmdline()]
        return all(role in running for role in ROLES) and self._listens()

    @contextmanager
    def book(self) -> Iterator[JobRepository]:
        database = Database(load_settings(self.settings_file, {}).database_url)
        yield JobRepository(database)
        database.close()

    def jobs(self, series_uid: str) -> list[JobStatus]:
        """Newest first."""
        with self.book() as book:
            return book.list_jobs(series_uid=series_uid)

    def ended(self, series_uid: str, *, seconds: float = 180) -> JobStatus:
        def newest_ended() -> JobStatus | None:
            jobs = self.jobs(series_uid)
            return jobs[0] if jobs and jobs[0].state in ENDED else None

        try:
            job = until(newest_ended, seconds=seconds, why=f"a job of {series_uid} ends")
        except AssertionError as error:
            raise AssertionError(
                f"{error}; {self.jobs(series_uid)}; {self.log.read_text()[-3000:]}"
            ) from error
        assert isinstance(job, JobStatus)
        return job

    def in_state(self, series_uid: str, state: JobState, *, seconds: float = 60) -> JobStatus:
        def there() -> JobStatus | None:
            jobs = self.jobs(series_uid)
            return jobs[0] if jobs and jobs[0].state is state else None

        job = until(there, seconds=seconds, why=f"a job of {series_uid} is {state}")
        assert isinstance(job, JobStatus)
        return job

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()[-3000:]
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _children(self) -> list[psutil.Process]:
        assert self._process is not None
        return psutil.Process(self._process.pid).children()

    def _role(self, role: str) -> psutil.Process:
        assert self._process is not None
        (process,) = [child for child in self._children() if role in child.cmdline()]
        return process


def _is_gone(process: psutil.Process) -> bool:
    """Whether it has ended, reaped or not."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def write_settings(folder: Path, *, tps_port: int, port: int, database_url: str | None = None) -> Node:
    """A node's settings in a folder, on the given port for receiving."""

    database = "" if database_url is None else f'[database]\nurl = "{database_url}"\n'
    file = folder / "settings.toml"
    file.write_text(f"""
[node]
storage_dir = "{folder / "store"}"
[receive]
host = "127.0.0.1"
port = {port}
{database}
[triton]
environment = "{TRITON_ENVIRONMENT}"
model_repository = "{REPOSITORY / "model_repository"}"
[assemble]
quiet_s = 1.5
incomplete_timeout_s = 600
[advanced]
poll_s = 0.1
silent_s = 6
backoff_s = 0.5
[monitor]
port = 0
[web]
port = 0
[peers.tps]
ae_title = "TPS"
host = "127.0.0.1"
port = {tps_port}
[[rules]]
name = "head-neck"
model = "hn_oar"
destinations = ["tps"]
""")
    return Node(folder=folder, settings_file=file, port=port)
