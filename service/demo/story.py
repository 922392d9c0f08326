"""What the demo does, in order: start the node, send a CT, watch the job, draw what came back."""

import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import rmtree

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import CTImageStorage
from rich.console import Console
from rich.progress import Progress

from imaging.ct import SourceFile
from inference.errors import ModelFailed, ModelUnavailable
from phantoms.dicom import ct_files
from phantoms.head_neck import make_head_neck
from service import wiring
from service.config import Settings, load_settings
from service.demo.peers import TPS_AET, Tps, running_tps, send_series
from service.demo.report import print_job, write_picture
from service.errors import Refused, TryAgain
from service.store import JobBook, JobState, JobStatus
from service.supervise import role_command

START_TIMEOUT_S = 180.0
JOB_TIMEOUT_S = 900.0
ENDED = frozenset(
    {JobState.DONE, JobState.REFUSED, JobState.PARKED, JobState.CANCELLED, JobState.SUPERSEDED}
)

console = Console(highlight=False)


@dataclass(frozen=True, kw_only=True)
class _Series:
    uid: str
    files: tuple[SourceFile, ...]


def run_demo(ct: Path | None, out: Path) -> int:
    """Contour a phantom or the CT series in a folder; 0 when a structure set came back and was drawn."""
    out.mkdir(parents=True, exist_ok=True)
    series = _phantom() if ct is None else _series_of(ct)
    node_folder = out / "node"
    rmtree(node_folder, ignore_errors=True)
    with running_tps(out) as tps:
        settings_file = _write_settings(node_folder, tps.port)
        settings = load_settings(settings_file, {})
        with _node(settings_file, out / "node.log"), wiring.opened_store(settings) as store:
            _wait_until_ready(settings, out / "node.log")
            _send(series, settings)
            job = _watch(store.book, series.uid)
            print_job(console, job, store.book.events(job.id))
            if job.state is not JobState.DONE or not tps.wait(10):
                console.print(f"[red]no structure set: {job.state.value}: {job.reason}[/red]")
                return 1
    return _draw(series, tps, out)


def _phantom() -> _Series:
    with console.status("making a head-and-neck phantom"):
        files = ct_files(make_head_neck().volume)
    uid = str(dcmread(BytesIO(files[0].data), specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)
    console.print(f"a head-and-neck phantom, {len(files)} slices")
    return _Series(uid=uid, files=files)


def _series_of(folder: Path) -> _Series:
    """The one CT series of a folder; Refused where there is none, or more than one to choose from."""
    if not folder.is_dir():
        raise Refused(f"{folder} is no folder")
    found: dict[str, list[SourceFile]] = defaultdict(list)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        try:
            image = dcmread(BytesIO(data), specific_tags=["SOPClassUID", "SeriesInstanceUID"])
        except InvalidDicomError:
            continue
        if "SOPClassUID" in image and image.SOPClassUID == CTImageStorage:
            found[str(image.SeriesInstanceUID)].append(SourceFile(name=path.name, data=data))
    if len(found) != 1:
        counts = ", ".join(f"{uid}: {len(files)} slices" for uid, files in found.items()) or "none"
        raise Refused(f"{folder} should hold one CT series; found {counts}")
    ((uid, files),) = found.items()
    console.print(f"series {uid}, {len(files)} slices")
    return _Series(uid=uid, files=tuple(files))


def _write_settings(folder: Path, tps_port: int) -> Path:
    folder.mkdir(parents=True)
    receive_port, triton_port = _free_ports(2)
    root = Path(__file__).resolve().parents[2]
    file = folder / "settings.toml"
    file.write_text(f"""# Written by contour-node demo.
[node]
storage_dir = "{(folder / "store").resolve()}"
[receive]
host = "127.0.0.1"
port = {receive_port}
[triton]
url = "127.0.0.1:{triton_port}"
environment = "{root / ".venv-triton"}"
model_repository = "{root / "model_repository"}"
[assemble]
quiet_s = 3
poll_s = 0.2
[work]
poll_s = 0.2
[send]
poll_s = 0.2
[destinations.tps]
ae_title = "{TPS_AET}"
host = "127.0.0.1"
port = {tps_port}
[[rules]]
name = "demo"
model = "hn_oar"
destinations = ["tps"]
""")
    return file


@contextmanager
def _node(settings_file: Path, log_file: Path) -> Iterator[None]:
    """The whole node, as `contour-node serve` runs it; its log goes to a file."""
    with log_file.open("w") as log:
        process = subprocess.Popen(role_command(("serve",), settings_file), stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _wait_until_ready(settings: Settings, log_file: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    with console.status("starting the node and its Triton server"):
        while not (_listens(settings.receive.port) and _models_are_ready(settings)):
            if time.monotonic() > deadline:
                raise TryAgain(f"the node was not ready within {START_TIMEOUT_S:g} s; see {log_file}")
            time.sleep(0.3)
    console.print("the node is ready")


def _models_are_ready(settings: Settings) -> bool:
    try:
        with wiring.triton_client(settings) as server:
            server.check()
            server.ready("hn_oar")
    except ModelUnavailable:
        return False
    except ModelFailed as reason:
        raise Refused(str(reason)) from reason
    return True


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _send(series: _Series, settings: Settings) -> None:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("sending", total=len(series.files))
        send_series(
            series.files,
            settings.receive.port,
            settings.receive.ae_title,
            lambda number: progress.update(task, completed=number),
        )
    console.print(f"sent to {settings.receive.ae_title} at port {settings.receive.port}")


def _watch(book: JobBook, series_uid: str) -> JobStatus:
    """Show the job's state until it has ended."""
    deadline = time.monotonic() + JOB_TIMEOUT_S
    shown = ""
    with console.status("") as status:
        while True:
            jobs = book.list_jobs(series_uid=series_uid, limit=1)
            if jobs:
                job = jobs[0]
                now = " ".join(filter(None, (job.state.value, job.stage, job.reason)))
                if now != shown:
                    status.update(now)
                    shown = now
                if job.state in ENDED:
                    return job
            if time.monotonic() > deadline:
                raise TryAgain(f"the job did not end within {JOB_TIMEOUT_S:g} s; it was {shown!r}")
            time.sleep(0.2)


def _draw(series: _Series, tps: Tps, out: Path) -> int:
    picture = out / "contours.png"
    write_picture(console, series.files, tps.received[-1], picture)
    console.print(f"structure set: {tps.received[-1]}\npicture:       {picture}\nnode's log:    {out / 'node.log'}")
    console.print("For research use only: nobody has approved these contours.")
    return 0


def _free_ports(count: int) -> Sequence[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
