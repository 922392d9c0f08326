"""The only room with SQL, and the only one that writes files."""

from service.store.commitments import Commitments
from service.store.database import Clock, Database, utc_now
from service.store.errors import (
    DatabaseUnavailable,
    FileDamaged,
    FileLost,
    NotAllowed,
    NotRecorded,
    StorageFull,
    StorageUnavailable,
)
from service.store.files import FileStore, Recovery
from service.store.jobbook import JobBook
from service.store.keeping import Checkable, Expired, Keeper, Kind, Policy
from service.store.migrate import upgrade
from service.store.notices import NoticeDesk
from service.store.outbox import Outbox
from service.store.recorder import Recorder
from service.store.rows import (
    ClaimedDelivery,
    ClaimedJob,
    CommitmentReport,
    DeliveryStatus,
    FailedJob,
    JobEvent,
    JobStatus,
    OpenJob,
    Order,
    Parcel,
    ReceivedInstance,
    StoredFile,
    StoredInstance,
    StudySeries,
)
from service.store.series import SeriesDesk
from service.store.space import DiskGauge, Room
from service.store.states import DeliveryKind, DeliveryState, EventKind, JobState, Outcome, Sealed
from service.store.workqueue import WorkQueue

__all__ = [
    "Checkable",
    "ClaimedDelivery",
    "ClaimedJob",
    "Clock",
    "CommitmentReport",
    "Commitments",
    "Database",
    "DatabaseUnavailable",
    "DeliveryKind",
    "DeliveryState",
    "DeliveryStatus",
    "DiskGauge",
    "EventKind",
    "Expired",
    "FailedJob",
    "FileDamaged",
    "FileLost",
    "FileStore",
    "JobBook",
    "JobEvent",
    "JobState",
    "JobStatus",
    "Keeper",
    "Kind",
    "NotAllowed",
    "NotRecorded",
    "NoticeDesk",
    "OpenJob",
    "Order",
    "Outbox",
    "Outcome",
    "Parcel",
    "Policy",
    "ReceivedInstance",
    "Recorder",
    "Recovery",
    "Room",
    "Sealed",
    "SeriesDesk",
    "StorageFull",
    "StorageUnavailable",
    "StoredFile",
    "StoredInstance",
    "StudySeries",
    "WorkQueue",
    "upgrade",
    "utc_now",
]
