"""The only room with SQL, and the only one that writes files."""

from service.store.audit import AuditEntry, AuditEvent, AuditKind, AuditLog, AuditOutcome
from service.store.commitments import Commitments
from service.store.database import Clock, Database, utc_now
from service.store.disk import DiskRoom, check_writable, disk_room
from service.store.errors import (
    DatabaseUnavailable,
    FileDamaged,
    FileLost,
    NotAllowed,
    NotRecorded,
    StorageFull,
    StorageUnavailable,
)
from service.store.figures import Figures, Histogram, LateJob, late_jobs, read_figures
from service.store.files import FileStore, Recovery, path_of
from service.store.heartbeats import Heartbeats, SignOfLife
from service.store.jobbook import JobBook, ReceivedFile
from service.store.keeping import Checkable, Expired, Keeper, Kind, Policy
from service.store.migrate import upgrade
from service.store.noticeboard import Alarm, Notice, NoticeBoard
from service.store.notices import NoticeDesk
from service.store.outbox import Outbox
from service.store.pseudonyms import Link, PseudonymDesk
from service.store.recorder import Recorder
from service.store.rows import (
    ClaimedDelivery,
    ClaimedJob,
    CommitmentReport,
    DeliveryStatus,
    Elsewhere,
    FailedJob,
    JobEvent,
    JobStatus,
    OpenJob,
    Order,
    Parcel,
    ReceivedInstance,
    Replaced,
    StoredFile,
    StoredInstance,
    StudySeries,
)
from service.store.series import SeriesDesk
from service.store.space import DiskGauge, Room
from service.store.states import DeliveryKind, DeliveryState, EventKind, JobState, Outcome, Sealed
from service.store.tally import BOUNDS_S, Tally
from service.store.workqueue import WorkQueue

__all__ = [
    "BOUNDS_S",
    "Alarm",
    "AuditEntry",
    "AuditEvent",
    "AuditKind",
    "AuditLog",
    "AuditOutcome",
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
    "DiskRoom",
    "Elsewhere",
    "EventKind",
    "Expired",
    "FailedJob",
    "Figures",
    "FileDamaged",
    "FileLost",
    "FileStore",
    "Heartbeats",
    "Histogram",
    "JobBook",
    "JobEvent",
    "JobState",
    "JobStatus",
    "Keeper",
    "Kind",
    "LateJob",
    "Link",
    "NotAllowed",
    "NotRecorded",
    "Notice",
    "NoticeBoard",
    "NoticeDesk",
    "OpenJob",
    "Order",
    "Outbox",
    "Outcome",
    "Parcel",
    "Policy",
    "PseudonymDesk",
    "ReceivedFile",
    "ReceivedInstance",
    "Recorder",
    "Recovery",
    "Replaced",
    "Room",
    "Sealed",
    "SeriesDesk",
    "SignOfLife",
    "StorageFull",
    "StorageUnavailable",
    "StoredFile",
    "StoredInstance",
    "StudySeries",
    "Tally",
    "WorkQueue",
    "check_writable",
    "disk_room",
    "late_jobs",
    "path_of",
    "read_figures",
    "upgrade",
    "utc_now",
]
