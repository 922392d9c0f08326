"""A store, settings and a model contract for a node without processes, and small CT series put into it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from imaging.volumes.volume import Volume
from inference.contract import ModelContract, load_contracts
from phantoms.dicom import CtExport, ct_files
from phantoms.geometry import geometry_phantom, marked_solids, uneven_grid
from service.assemble import Assembler, SenderCounts
from service.assemble.sender_counts import Ask
from service.assemble.silence import SilenceWatch
from service.config import Peer, Settings
from service.rules import HeldRules
from service.store import (
    Database,
    FileStore,
    InstanceRecorder,
    JobRepository,
    JobStatus,
    Outbox,
    ReceivedInstance,
    SeriesRepository,
    WorkQueue,
)
from service.store.objects import FolderObjectStore, StoredContent
from service.template import Template, default_template
from tests.support.actors import JobChanges
from tests.support.clock import ManualClock

MODELS = Path(__file__).resolve().parents[2] / "model_repository"
RULE = {"name": "head-neck", "model": "hn_oar", "destinations": ["tps"]}
TREE: dict[str, Any] = {
    "assemble": {"quiet_s": 10, "incomplete_timeout_s": 100},
    "work": {"max_attempts": 2},
    "advanced": {"backoff_s": 15, "silent_s": 60},
    "peers": {"tps": {"ae_title": "TPS", "host": "127.0.0.1", "port": 104}},
    "rules": [RULE],
}


def only(
    tree: Settings, templates: Mapping[str, Template] | None = None
) -> Callable[[int | None], HeldRules]:
    """The rules of these settings for every job, each with its template or the default one."""
    found = {rule.name: (templates or {}).get(rule.name, default_template()) for rule in tree.rules}
    return lambda _: HeldRules(number=0, settings=tree, templates=found)


def small_volume() -> Volume:
    return geometry_phantom(uneven_grid(), marked_solids()).volume


def model() -> ModelContract:
    """The published model, without limits: the small volumes are no bodies."""
    return load_contracts(MODELS)["hn_oar"].model_copy(update={"plausibility": None})


@dataclass
class SmallNode:
    database: Database
    files: FileStore
    clock: ManualClock
    recorder: InstanceRecorder

    def __post_init__(self) -> None:
        self.objects = FolderObjectStore(self.files.root)
        self.content = StoredContent(received=self.files, published=self.objects)
        self.series = SeriesRepository(self.database)
        self.queue = WorkQueue(self.database)
        self.outbox = Outbox(self.database)
        self.book = JobRepository(self.database)
        self.changes = JobChanges(self.database)

    def assembler(self, tree: Settings | None = None, ask: Ask | None = None) -> Assembler:
        """An assembler of these settings; `ask` answers for the peers that answer queries."""
        chosen = tree or settings()
        counts = SenderCounts(ask or _nobody, chosen.dicom_peers, self.clock, every_s=60, patience_s=10)
        return Assembler(
            repository=self.series,
            files=self.files,
            settings=chosen,
            models={"hn_oar": model()},
            counts=counts,
            silence=SilenceWatch(clock=self.clock, monotonic=self.clock.monotonic),
        )

    def receive(
        self,
        how: CtExport | None = None,
        *,
        only: slice = slice(None),
        change: Callable[[Dataset], None] | None = None,
        calling: str = "SCANNER",
        called: str = "CONTOURNODE",
        volume: Volume | None = None,
    ) -> None:
        """Put a CT series into the store, as the receiver would; `change` makes another object of each image."""
        for source in ct_files(volume or small_volume(), how)[only]:
            data = source.data if change is None else _changed(source.data, change)
            image = dcmread(BytesIO(data), stop_before_pixels=True)
            stored = self.files.put(image.SOPInstanceUID, data)
            self.recorder.record(
                ReceivedInstance(
                    sop_instance_uid=image.SOPInstanceUID,
                    sop_class_uid=image.SOPClassUID,
                    series_uid=image.SeriesInstanceUID,
                    study_uid=image.StudyInstanceUID,
                    modality=image.Modality,
                    transfer_syntax_uid=image.file_meta.TransferSyntaxUID,
                    calling_aet=calling,
                    called_aet=called,
                    peer_host="127.0.0.1",
                    file=stored,
                )
            )

    def job(self) -> JobStatus:
        """The newest job."""
        return self.book.list_jobs()[0]


def _nobody(peer: Peer, study_uid: str, series_uid: str) -> int:
    raise AssertionError(f"{peer.ae_title} answers no queries")


def _changed(data: bytes, change: Callable[[Dataset], None]) -> bytes:
    image = dcmread(BytesIO(data))
    change(image)
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    buffer = BytesIO()
    image.save_as(buffer)
    return buffer.getvalue()


def settings(**changes: Any) -> Settings:
    """The small node's settings with other sections; peers come in addition to its own."""
    peers = {**TREE["peers"], **changes.pop("peers", {})}
    return Settings.model_validate({**TREE, "peers": peers, **changes})
