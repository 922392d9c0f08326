"""A whole node on embedded defaults and free loopback ports, as `contour-node serve` runs it."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inference.errors import ModelFailed, ModelUnavailable
from inference.ports import free_port
from service.components import model_library, triton_client
from service.config import Settings, load_settings
from service.demo.peers import TPS_AET
from service.errors import Refused, TryAgain
from service.store import JobRepository, JobState, JobStatus
from service.supervise import role_command

START_TIMEOUT_S = 180.0
JOB_TIMEOUT_S = 900.0
ENDED = frozenset(
    {
        JobState.DONE,
        JobState.REFUSED,
        JobState.NOTHING_TO_CONTOUR,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.SUPERSEDED,
    }
)


@contextmanager
def running_node(folder: Path, tps_port: int) -> Iterator[Settings]:
    """Open a node that keeps everything in ``folder``, delivers to a TPS on loopback, and is ready.

    Its log is ``node.log`` in the folder. Raises TryAgain if it is not ready in time, Refused if its model server
    corrupts tensors.
    """
    settings_file = _write_settings(folder, tps_port)
    settings = load_settings(settings_file, {})
    log_file = folder / "node.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(role_command(("serve",), settings_file), stdout=log, stderr=log)
        try:
            _wait_until_ready(settings, process, log_file)
            yield settings
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def ended_job(book: JobRepository, series_uid: str, show: Callable[[str], None]) -> JobStatus:
    """Return the newest job of a series once it has ended; ``show`` is called with each state on the way."""
    deadline = time.monotonic() + JOB_TIMEOUT_S
    shown = ""
    while time.monotonic() < deadline:
        for job in book.list_jobs(series_uid=series_uid, limit=1):
            now = " ".join(filter(None, (job.state.value, job.stage, job.reason)))
            if now != shown:
                show(now)
                shown = now
            if job.state in ENDED:
                return job
        time.sleep(0.1)
    raise TryAgain(f"the job did not end within {JOB_TIMEOUT_S:g} s; it was {shown!r}")


def _write_settings(folder: Path, tps_port: int) -> Path:
    folder.mkdir(parents=True)
    receive_port, web_port = free_port(), free_port()
    file = folder / "settings.toml"
    file.write_text(f"""# Written by contour-node demo.
[node]
storage_dir = "{(folder / "store").resolve()}"
[receive]
host = "127.0.0.1"
port = {receive_port}
[assemble]
quiet_s = 3
[advanced]
poll_s = 0.2
[monitor]
port = 0
[web]
port = {web_port}
[peers.tps]
ae_title = "{TPS_AET}"
host = "127.0.0.1"
port = {tps_port}
[[rules]]
name = "demo"
model = "hn_oar"
destinations = ["tps"]
""")
    return file


def _wait_until_ready(settings: Settings, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (_listens(settings.receive.port) and _models_are_ready(settings)):
        if process.poll() is not None or time.monotonic() > deadline:
            raise TryAgain(f"the node was not ready within {START_TIMEOUT_S:g} s; see {log_file}")
        time.sleep(0.3)


def _models_are_ready(settings: Settings) -> bool:
    try:
        with triton_client(settings) as server:
            server.check()
            server.models.make_ready(model_library(settings)["hn_oar"])
    except ModelUnavailable:
        return False
    except ModelFailed as reason:
        raise Refused(str(reason)) from reason
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
