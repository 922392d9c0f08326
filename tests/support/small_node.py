"""A store, settings and a model spec for a node without processes, and small CT series put into it."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from imaging.volume import Volume
from inference.spec import ModelSpec, load_specs
from phantoms.dicom import CtExport, ct_files
from phantoms.geometry import geometry_phantom, marked_solids, uneven_grid
from service.config import Settings
from service.store import (
    Database,
    FileStore,
    JobBook,
    JobStatus,
    Outbox,
    ReceivedInstance,
    Recorder,
    SeriesDesk,
    WorkQueue,
)
from tests.support.clock import ManualClock

MODELS = Path(__file__).resolve().parents[2] / "model_repository"
RULE = {"name": "head-neck", "model": "hn_oar", "destinations": ["tps"]}
TREE = {
    "assemble": {"quiet_s": 10, "incomplete_timeout_s": 100},
    "work": {"max_attempts": 2, "backoff_s": 30, "unavailable_delay_s": 15, "lease_s": 60},
    "destinations": {"tps": {"ae_title": "TPS", "host": "127.0.0.1", "port": 104}},
    "rules": [RULE],
}


def small_volume() -> Volume:
    return geometry_phantom(uneven_grid(), marked_solids()).volume


def model() -> ModelSpec:
    return load_specs(MODELS)["hn_oar"]


@dataclass
class SmallNode:
    database: Database
    files: FileStore
    clock: ManualClock
    recorder: Recorder

    def __post_init__(self) -> None:
        self.desk = SeriesDesk(self.database)
        self.queue = WorkQueue(self.database)
        self.outbox = Outbox(self.database)
        self.book = JobBook(self.database)

    def receive(self, how: CtExport | None = None, *, only: slice = slice(None)) -> None:
        """Put a CT series into the store, as the receiver would."""
        for source in ct_files(small_volume(), how)[only]:
            image = dcmread(BytesIO(source.data), stop_before_pixels=True)
            stored = self.files.put(image.SOPInstanceUID, source.data)
            self.recorder.record(
                ReceivedInstance(
                    sop_instance_uid=image.SOPInstanceUID,
                    sop_class_uid=image.SOPClassUID,
                    series_uid=image.SeriesInstanceUID,
                    study_uid=image.StudyInstanceUID,
                    modality="CT",
                    transfer_syntax_uid=image.file_meta.TransferSyntaxUID,
                    calling_aet="SCANNER",
                    called_aet="CONTOURNODE",
                    peer_host="127.0.0.1",
                    file=stored,
                )
            )

    def job(self) -> JobStatus:
        """The newest job."""
        return self.book.list_jobs()[0]


def settings(**changes: object) -> Settings:
    return Settings.model_validate(TREE | changes)
