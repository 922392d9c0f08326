"""The steps of the demo: start the node, send a CT, watch the job, draw the structure set that comes back."""

from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from shutil import rmtree
from threading import Event

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import CTImageStorage
from rich.console import Console
from rich.progress import Progress

from imaging.ct.series import SourceFile
from phantoms.dicom import ct_files
from phantoms.head_neck import make_head_neck
from service.application import Actor, ActorKind, ActorRole, invite_person
from service.components import opened_store
from service.config import Settings
from service.demo.node import ended_job, running_node
from service.demo.peers import Tps, running_tps, send_series
from service.demo.report import print_job, write_picture
from service.errors import Refused
from service.store import Database, JobState

console = Console(highlight=False)


@dataclass(frozen=True, kw_only=True)
class _Series:
    uid: str
    files: tuple[SourceFile, ...]


def run_demo(ct: Path | None, out: Path, *, keep: bool = False) -> int:
    """Contour a phantom or the CT series in a folder; return 0 if a structure set came back and was drawn.

    With ``keep``, the node and its web page keep running until Ctrl-C; the page's address is printed.
    """
    out.mkdir(parents=True, exist_ok=True)
    series = _phantom() if ct is None else _series_of(ct)
    node_folder = out / "node"
    rmtree(node_folder, ignore_errors=True)
    with running_tps(out) as tps:
        console.print("starting the node and its Triton server")
        with running_node(node_folder, tps.port) as settings, opened_store(settings) as store:
            _send(series, settings)
            with console.status("") as status:
                job = ended_job(store.book, series.uid, status.update)
            print_job(console, job, store.book.events(job.id))
            if job.state is not JobState.DONE or not tps.wait(10):
                console.print(f"[red]no structure set: {job.state.value}: {job.reason}[/red]")
                return 1
            _draw(series, tps, out)
            if keep:
                _show_page(settings, store.database)
    return 0


def _show_page(settings: Settings, database: Database) -> None:
    """Print a link to sign in to the demo's web page as an admin, and wait for Ctrl-C."""
    actor = Actor(kind=ActorKind.PERSON, name="demo", role=ActorRole.ADMIN, entry="cli")
    secret = invite_person(database, actor, "demo", ActorRole.ADMIN, sees_patients=True)
    address = f"http://{settings.web.host}:{settings.web.port}"
    console.print(f"the node runs until Ctrl-C; open its web page: {address}/invitation/{secret}")
    with suppress(KeyboardInterrupt):
        Event().wait()


def _phantom() -> _Series:
    with console.status("making a head-and-neck phantom"):
        files = ct_files(make_head_neck().volume)
    uid = str(dcmread(BytesIO(files[0].data), specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)
    console.print(f"a head-and-neck phantom, {len(files)} slices")
    return _Series(uid=uid, files=files)


def _series_of(folder: Path) -> _Series:
    """Return the only CT series in a folder; raise Refused if there is none or more than one."""
    if not folder.is_dir():
        raise Refused(f"{folder} is not a folder")
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
        raise Refused(f"{folder} must contain exactly one CT series; found {counts}")
    ((uid, files),) = found.items()
    console.print(f"series {uid}, {len(files)} slices")
    return _Series(uid=uid, files=tuple(files))


def _send(series: _Series, settings: Settings) -> None:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("sending", total=len(series.files))
        send_series(
            series.files,
            settings.receive.port,
            settings.receive.ae_title,
            lambda number: progress.update(task, completed=number),
        )
    console.print(f"CT sent to {settings.receive.ae_title}, port {settings.receive.port}")


def _draw(series: _Series, tps: Tps, out: Path) -> None:
    picture = out / "contours.png"
    write_picture(series.files, tps.received[-1].read_bytes(), picture)
    console.print(
        f"structure set: {tps.received[-1]}\npicture:       {picture}\nnode's log:    {out / 'node' / 'node.log'}"
    )
    console.print("For research use only: these contours are not approved.")
