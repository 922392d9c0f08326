"""A whole node for tests.

It has two processes of most roles, a model server, a planning system, and a proxy on the way in and on the way out.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from inference.embedded import EmbeddedTriton
from inference.ports import free_port
from reliability.destination import AE_TITLE, RecordingDestination, running_destination
from reliability.disks import Disk, mounted_disk
from reliability.postgres import Postgres, running_postgres
from reliability.proxy import CuttingProxy
from reliability.roles import RoleProcess
from reliability.sender import CALLED_AET, listens
from service.store import Database, JobRepository, upgrade
from service.store.objects import StoredContent

_REPOSITORY = Path(__file__).resolve().parents[1]
_MODEL = Path(__file__).resolve().parent / "model_repository" / "threshold"
_KNOWN_TENSOR = _REPOSITORY / "model_repository" / "known_tensor"
ROLES = ("receive", "assemble", "assemble", "work", "work", "send", "send")
QUIET_S = 0.6
LEASE_S = 1.0
BUSY_TIMEOUT_S = LEASE_S / 2


@dataclass
class TestedNode:
    """The node of one trial, and what can be done to it."""

    folder: Path
    settings_file: Path
    database_url: str
    triton: EmbeddedTriton
    destination: RecordingDestination
    inward_proxy: CuttingProxy
    outward_proxy: CuttingProxy
    files_disk: Disk
    database_disk: Disk
    postgres: Postgres | None
    by_command: Callable[[], bool]
    processes: list[RoleProcess] = field(default_factory=list)
    restarts: int = 0

    @property
    def log_file(self) -> Path:
        """The log of all roles."""
        return self.folder / "node.log"

    def start(self) -> None:
        """Start every role that is not running."""
        for role in set(ROLES):
            for _ in range(ROLES.count(role) - len(self.of(role))):
                process = RoleProcess(role, self.settings_file, self.log_file, by_command=self.by_command())
                self.processes.append(process)

    def wait_until_listening(self, within_s: float = 60.0) -> None:
        """Return when the receiver accepts connections; raise RuntimeError if it never does."""
        deadline = time.monotonic() + within_s
        while not listens(self.inward_proxy.target_port):
            self.restart_dead()
            if time.monotonic() > deadline:
                raise RuntimeError(f"the receiver does not listen; see {self.log_file}")
            time.sleep(0.02)

    def of(self, role: str) -> list[RoleProcess]:
        """Return the processes of a role, dead ones too."""
        return [process for process in self.processes if process.role == role]

    def kill(self, *processes: RoleProcess) -> None:
        """Kill processes with `kill -9`, one right after the other."""
        for process in processes:
            process.kill()
            self.processes.remove(process)

    def restart_dead(self) -> list[str]:
        """Restart what has ended, as the supervisor does; return which processes had ended."""
        ended = [process for process in self.processes if not process.is_alive()]
        for process in ended:
            self.processes.remove(process)
        before = len(self.processes)
        self.start()
        self.restarts += len(self.processes) - before
        return [f"{process.role} ended with {process.exit_code()}" for process in ended]

    def stop(self) -> None:
        """End every role as `contour-node serve` does."""
        for process in self.processes:
            process.stop()
        self.processes.clear()

    def kill_triton(self) -> None:
        """Kill the model server with `kill -9`, and start another one on the same socket."""
        self.triton.stop(timeout_s=0.0)
        self.triton = _triton(self.folder)
        self.triton.start()
        self.triton.wait_ready()

    @contextmanager
    def book(self) -> Iterator[JobRepository]:
        """Open the jobs as an administrator reads them."""
        database = Database(self.database_url, busy_timeout_s=10)
        try:
            yield JobRepository(database)
        finally:
            database.close()

    @property
    def content(self) -> StoredContent:
        """The files and objects that the node keeps."""
        return StoredContent.in_folder(self.files_disk.folder / "store")


@contextmanager
def running_trial_node(
    folder: Path, *, database: str, by_command: Callable[[], bool]
) -> Iterator[TestedNode]:
    """Open a node that is ready, in a new folder, on SQLite or Postgres."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        files_disk = stack.enter_context(mounted_disk(folder / "files"))
        database_disk = stack.enter_context(mounted_disk(folder / "database"))
        postgres = stack.enter_context(running_postgres()) if database == "postgres" else None
        destination = stack.enter_context(running_destination())
        inward_proxy = stack.enter_context(CuttingProxy(free_port()))
        outward_proxy = stack.enter_context(CuttingProxy(destination.port))
        triton = _triton(folder)
        url = f"sqlite:///{(database_disk.folder / 'node.sqlite').resolve()}"
        node = TestedNode(
            folder=folder,
            settings_file=folder / "settings.toml",
            database_url=postgres.url if postgres else url,
            triton=triton,
            destination=destination,
            inward_proxy=inward_proxy,
            outward_proxy=outward_proxy,
            files_disk=files_disk,
            database_disk=database_disk,
            postgres=postgres,
            by_command=by_command,
        )
        stack.callback(lambda: node.triton.stop())
        triton.start()
        _write_settings(node)
        upgrade(node.database_url)
        triton.wait_ready()
        stack.callback(node.stop)
        node.start()
        node.wait_until_listening()
        yield node


def _triton(folder: Path) -> EmbeddedTriton:
    repository = folder / "models"
    repository.mkdir(exist_ok=True)
    for model in (_MODEL, _KNOWN_TENSOR):
        if not (repository / model.name).exists():
            (repository / model.name).symlink_to(model)
    return EmbeddedTriton(
        python_environment=_REPOSITORY / ".venv-triton",
        model_repository=repository,
        working_directory=(folder / "triton").resolve(),
    )


def _write_settings(node: TestedNode) -> None:
    node.settings_file.write_text(f"""
[node]
storage_dir = "{(node.files_disk.folder / "store").resolve()}"
log_level = "INFO"
[receive]
host = "127.0.0.1"
port = {node.inward_proxy.target_port}
ae_title = "{CALLED_AET}"
[database]
url = "{node.database_url}"
[triton]
url = "{node.triton.url}"
model_repository = "{(node.folder / "models").resolve()}"
[retention]
refuse_below_free_bytes = 0
warn_below_free_percent = 0
[assemble]
quiet_s = {QUIET_S}
incomplete_timeout_s = 2
[advanced]
poll_s = 0.1
silent_s = {LEASE_S}
backoff_s = 0.02
[work]
max_attempts = 100
[peers.tps]
ae_title = "{AE_TITLE}"
host = "127.0.0.1"
port = {node.outward_proxy.port}
timeout_s = 5
max_attempts = 100
[[rules]]
name = "trial"
model = "threshold"
destinations = ["tps"]
""")
