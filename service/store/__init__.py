"""The only room with SQL, and the only one that writes files."""

from service.store.audit.chain import TrailCheck, TrailHead, check_trail, guard_trail
from service.store.audit.log import (
    AuditEntry,
    AuditEvent,
    AuditKind,
    AuditLog,
    AuditOutcome,
    TrailQuery,
    audit_action,
    read_entries,
)
from service.store.audit.pseudonyms import PseudonymLink, PseudonymRepository
from service.store.backup.backup_folder import Backup, BackupReport, NamedFile, make_backup, read_backup
from service.store.backup.restore import RestoreReport, restore
from service.store.database import Clock, Database, Transaction, utc_now
from service.store.deliveries.commitments import Commitments
from service.store.deliveries.failure_reports import FailureReportQueue
from service.store.deliveries.outbox import Outbox
from service.store.deliveries.resending import resend
from service.store.errors import (
    DatabaseDamaged,
    DatabaseUnavailable,
    FileDamaged,
    FileLost,
    JobChanged,
    NotAllowed,
    NotRecorded,
    StorageFull,
    StorageUnavailable,
)
from service.store.files.disk_gauge import DiskGauge, DiskLevel
from service.store.files.disk_room import DiskRoom, check_writable, disk_room
from service.store.files.file_store import FileStore, path_of
from service.store.files.owner import owned
from service.store.intake.group_commit import InstanceRecorder
from service.store.jobs.artifacts import ArtifactStatus, NewArtifact, read_artifacts
from service.store.jobs.job_lists import JobFilter, JobLists, ListedJob, read_page
from service.store.jobs.job_repository import (
    JobRepository,
    ReceivedFile,
    read_deliveries,
    read_events,
    read_job,
    read_jobs,
)
from service.store.jobs.manual_changes import cancel, change_priority, require_unchanged, rerun, retry
from service.store.jobs.returned_sets import LinkedBy, ReturnedSetRepository, SetReferences
from service.store.jobs.series_facts import SeriesHeader, folded, forget_patients, read_series
from service.store.jobs.series_repository import SeriesRepository
from service.store.jobs.structure_results import StructureFinding, StructureResult, read_structure_results
from service.store.jobs.wanted import Wanted
from service.store.jobs.work_queue import WorkQueue
from service.store.migrations.migrate import check_schema, has_schema, upgrade
from service.store.monitoring.constancy_record import ConstancyRecord, read_constancy, write_constancy
from service.store.monitoring.heartbeats import Heartbeats, RoleHeartbeat
from service.store.monitoring.metric_counters import BOUNDS_S, MetricCounters
from service.store.monitoring.notification_queue import (
    Alarm,
    Notification,
    NotificationQueue,
)
from service.store.monitoring.queue_statistics import (
    DeliveriesIn,
    Histogram,
    LateJob,
    QueueStatistics,
    late_jobs,
    read_queue_statistics,
)
from service.store.monitoring.refused_images import RefusedImages
from service.store.node.clock_watch import ClockWatch, read_clock_doubt
from service.store.node.folder_mark import FolderMark, read_mark
from service.store.node.forgetting import (
    DeliveredObject,
    ForgottenSeries,
    SeriesIdentity,
    all_series,
    forget_patient_keys,
    forget_series,
    look_at_series,
    series_named,
)
from service.store.node.identity import NodeIdentity
from service.store.node.recovery_decision import (
    NodeHold,
    UnfinishedJob,
    hold_back,
    read_hold,
    require_recorded,
    unfinished_jobs,
)
from service.store.records import (
    ClaimedDelivery,
    ClaimedJob,
    CommitmentReport,
    ContouringOrder,
    DeliveryStatus,
    Elsewhere,
    FailedJob,
    JobEvent,
    JobStatus,
    OpenJob,
    ReceivedInstance,
    Replaced,
    StoredFile,
    StoredInstance,
    StudySeries,
)
from service.store.retention.expiry import RetainedKind, RetentionPolicy
from service.store.retention.retention_store import ExpiredFile, RetentionStore, VerifiableFile
from service.store.states import (
    CANCELLABLE,
    RERUNNABLE,
    RETRYABLE,
    ArtifactKind,
    ArtifactRole,
    CloseOutcome,
    DeliveryKind,
    DeliveryState,
    EventKind,
    JobState,
    RecordOutcome,
    artifact_words,
)
from service.store.web.accounts import (
    Accounts,
    Invitation,
    WebUser,
    accept_invitation,
    change_user,
    invite,
    invited,
    unlock_user,
)
from service.store.web.sessions import Sessions, WebSession

__all__ = [
    "BOUNDS_S",
    "CANCELLABLE",
    "RERUNNABLE",
    "RETRYABLE",
    "Accounts",
    "Alarm",
    "ArtifactKind",
    "ArtifactRole",
    "ArtifactStatus",
    "AuditEntry",
    "AuditEvent",
    "AuditKind",
    "AuditLog",
    "AuditOutcome",
    "Backup",
    "BackupReport",
    "ClaimedDelivery",
    "ClaimedJob",
    "Clock",
    "ClockWatch",
    "CloseOutcome",
    "CommitmentReport",
    "Commitments",
    "ConstancyRecord",
    "ContouringOrder",
    "Database",
    "DatabaseDamaged",
    "DatabaseUnavailable",
    "DeliveredObject",
    "DeliveriesIn",
    "DeliveryKind",
    "DeliveryState",
    "DeliveryStatus",
    "DiskGauge",
    "DiskLevel",
    "DiskRoom",
    "Elsewhere",
    "EventKind",
    "ExpiredFile",
    "FailedJob",
    "FailureReportQueue",
    "FileDamaged",
    "FileLost",
    "FileStore",
    "FolderMark",
    "ForgottenSeries",
    "Heartbeats",
    "Histogram",
    "InstanceRecorder",
    "Invitation",
    "JobChanged",
    "JobEvent",
    "JobFilter",
    "JobLists",
    "JobRepository",
    "JobState",
    "JobStatus",
    "LateJob",
    "LinkedBy",
    "ListedJob",
    "MetricCounters",
    "NamedFile",
    "NewArtifact",
    "NodeHold",
    "NodeIdentity",
    "NotAllowed",
    "NotRecorded",
    "Notification",
    "NotificationQueue",
    "OpenJob",
    "Outbox",
    "PseudonymLink",
    "PseudonymRepository",
    "QueueStatistics",
    "ReceivedFile",
    "ReceivedInstance",
    "RecordOutcome",
    "RefusedImages",
    "Replaced",
    "RestoreReport",
    "RetainedKind",
    "RetentionPolicy",
    "RetentionStore",
    "ReturnedSetRepository",
    "RoleHeartbeat",
    "SeriesHeader",
    "SeriesIdentity",
    "SeriesRepository",
    "Sessions",
    "SetReferences",
    "StorageFull",
    "StorageUnavailable",
    "StoredFile",
    "StoredInstance",
    "StructureFinding",
    "StructureResult",
    "StudySeries",
    "TrailCheck",
    "TrailHead",
    "TrailQuery",
    "Transaction",
    "UnfinishedJob",
    "VerifiableFile",
    "Wanted",
    "WebSession",
    "WebUser",
    "WorkQueue",
    "accept_invitation",
    "all_series",
    "artifact_words",
    "audit_action",
    "cancel",
    "change_priority",
    "change_user",
    "check_schema",
    "check_trail",
    "check_writable",
    "disk_room",
    "folded",
    "forget_patient_keys",
    "forget_patients",
    "forget_series",
    "guard_trail",
    "has_schema",
    "hold_back",
    "invite",
    "invited",
    "late_jobs",
    "look_at_series",
    "make_backup",
    "owned",
    "path_of",
    "read_artifacts",
    "read_backup",
    "read_clock_doubt",
    "read_constancy",
    "read_deliveries",
    "read_entries",
    "read_events",
    "read_hold",
    "read_job",
    "read_jobs",
    "read_mark",
    "read_page",
    "read_queue_statistics",
    "read_series",
    "read_structure_results",
    "require_recorded",
    "require_unchanged",
    "rerun",
    "resend",
    "restore",
    "retry",
    "series_named",
    "unfinished_jobs",
    "unlock_user",
    "upgrade",
    "utc_now",
    "write_constancy",
]
