"""What the store takes and returns: values, never database rows."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.config import JobPurpose
from service.errors import Refused
from service.store.jobs.wanted import AS_THE_RULES_SAY, Wanted
from service.store.states import DeliveryKind, DeliveryState, EventKind, JobState

CT_SOP_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image Storage
    }
)
MR_SOP_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image Storage
        "1.2.840.10008.5.1.4.1.1.4.3",  # Enhanced MR Color Image Storage
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image Storage
    }
)
CONTOURED_SOP_CLASSES = CT_SOP_CLASSES | MR_SOP_CLASSES
"""Images that open a job: CT always, MR if a rule accepts it. Everything else is kept, but not contoured."""

_UID = re.compile(r"[0-9.]{1,64}")
_UIDS = ("sop_instance_uid", "sop_class_uid", "series_uid", "study_uid", "transfer_syntax_uid")
_TEXTS = (("modality", 16), ("calling_aet", 16), ("called_aet", 16), ("peer_host", 253))


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A durable file: its path relative to the storage folder, its size and its checksum."""

    path: str
    size_bytes: int  # of the whole file, header included
    sha256: str  # of the bytes after the header: for an instance, of the dataset as received
    header_bytes: int = (
        0  # length of what the node itself wrote before it (preamble and file meta information)
    )
    is_new: bool = field(default=True, compare=False)  # False: a file with the same data was there already


@dataclass(frozen=True, kw_only=True)
class ReceivedInstance:
    """An instance whose file is durable and which is to be recorded; refused if an identifier is not valid."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    modality: str
    transfer_syntax_uid: str
    calling_aet: str
    called_aet: str
    peer_host: str
    file: StoredFile

    def __post_init__(self) -> None:
        """Refuse what could not be recorded, before it reaches the database."""
        for name in _UIDS:
            value = getattr(self, name)
            if not _UID.fullmatch(value):
                raise Refused(f"{name} {value!a} is not a UID of 1 to 64 digits and dots")
        for name, longest in _TEXTS:
            value = getattr(self, name)
            if len(value) > longest or not value.isprintable():
                raise Refused(f"{name} {value!a} is not printable text of at most {longest} characters")


@dataclass(frozen=True, kw_only=True)
class StoredInstance:
    """A recorded instance and where its file is."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    modality: str
    transfer_syntax_uid: str
    file: StoredFile
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class OpenJob:
    """A job whose series may still be growing (state receiving or waiting)."""

    id: int
    version: int
    state: JobState
    reason: str  # why it waits; empty while slices are still arriving
    series_uid: str
    study_uid: str
    called_aet: str
    calling_aet: str
    slice_count: int  # when it was read: close_series() and refuse() do nothing if a slice has come since
    expected_images: int | None
    received_at: datetime
    last_received_at: datetime
    wanted: Wanted = AS_THE_RULES_SAY


@dataclass(frozen=True, kw_only=True)
class ContouringOrder:
    """What a complete series is contoured by, and what its history should say about its completeness."""

    rule: str
    model: str
    model_version: int
    priority: int
    note: str = ""
    doubt: str = ""  # why the series may not be whole, for the structure set
    template_sha256: str = ""  # of the template's file; empty: the rule has none
    purpose: JobPurpose = JobPurpose.CLINICAL
    rule_set: int | None = None  # the version of the rules; None: the settings file's


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Images of a job's series that came under another AE title, or from another sender, and that the job lacks."""

    called_aet: str
    calling_aet: str
    images: int
    last_received_at: datetime
    job_id: int  # of the latest version of their job
    job_state: JobState
    has_all: bool  # their job has every image of this one, and was or will be contoured


@dataclass(frozen=True, kw_only=True)
class Replaced:
    """The structure set that a job's own replaces: whose it is, and the objects that it was sent as."""

    job_id: int
    uid: UUID
    sop_instance_uids: frozenset[str] = frozenset()
    files: frozenset[tuple[str, str]] = frozenset()  # path and SHA-256 of objects whose UID was not recorded


@dataclass(frozen=True, kw_only=True)
class StudySeries:
    """A series of a study, as far as it has been received."""

    series_uid: str
    modality: str
    sample_path: str  # one of its files
    last_received_at: datetime
    has_job: bool  # its images are contoured, unless a job was refused or cancelled
    is_closed: bool  # such a job found the series complete, and no image came since


@dataclass(frozen=True, kw_only=True)
class ClaimedJob:
    """A job that belongs to a worker until its lease ends; the token for every write of that worker."""

    id: int
    uid: UUID  # of what is contoured; the same for every attempt and after a loss of the database: UIDs are derived from it
    version: int
    series_uid: str
    study_uid: str
    called_aet: str
    calling_aet: str
    rule: str
    model: str
    model_version: int
    content_hash: str
    priority: int
    attempt: int  # 1 for the first
    worker: str
    lease_number: int
    received_at: datetime
    queued_at: datetime
    slice_count: int = 0
    expected_images: int | None = None  # what the sender says the series has
    doubt: str = ""  # why the series may not be whole
    set_version: int = 1  # of the structure set, counting those of this series that were sent
    replaces: Replaced | None = None
    purpose: JobPurpose = JobPurpose.CLINICAL
    rule_set: int | None = None  # the version of the rules that it was queued by


@dataclass(frozen=True, kw_only=True)
class ClaimedDelivery:
    """A delivery that a process of the role `send` holds until its lease ends; the token for its writes."""

    id: int
    job_id: int
    job_uid: UUID
    destination: str
    kind: DeliveryKind
    priority: int  # of the job
    created_at: datetime
    is_sent: bool  # the destination took it and is to be asked for confirmation
    attempt: int  # 1 for the first
    confirmation_requests: int  # how often it was asked, this time included
    result: StoredFile
    sender: str
    lease_number: int


@dataclass(frozen=True, kw_only=True)
class CommitmentReport:
    """A destination's report on an object: that it keeps it, or why not ((0008,1197) Failure Reason)."""

    failure_reason: int | None


@dataclass(frozen=True, kw_only=True)
class FailedJob:
    """A job that failed for good and has not been reported to a destination yet."""

    id: int
    uid: UUID
    version: int
    state: JobState
    reason: str
    study_uid: str
    series_uid: str
    calling_aet: str
    rule: str  # empty if none had matched
    was_contoured: bool  # it was the delivery that failed
    served: frozenset[str]  # destinations that have the result
    failed_at: datetime
    rule_set: int | None = None  # the version of the rules


@dataclass(frozen=True, kw_only=True)
class DeliveryStatus:
    """One object on its way to one destination, for people."""

    id: int
    artifact_id: int
    destination: str
    kind: DeliveryKind
    state: DeliveryState
    reason: str
    note: str  # what the destination said when it took it
    fallback_for: str  # the destinations for which this one is the fallback
    attempts: int
    not_before: datetime | None
    sent_at: datetime | None
    confirmation_requests: int  # how often it was asked to confirm that it has the object
    confirmed_at: datetime | None
    removed_at: datetime | None  # of the artifact, by retention: the file is gone


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A job as an administrator sees it: a row of the view job_status. It names no patient."""

    id: int
    uid: UUID
    version: int
    state: JobState
    stage: str
    reason: str
    series_uid: str
    study_uid: str
    calling_aet: str
    called_aet: str
    slice_count: int
    expected_images: int | None  # what the sender says the series has; None: nobody said
    completeness: str  # "receiving", "waiting", "incomplete", "complete"; empty once it no longer matters
    rule: str
    model: str
    model_version: int | None
    priority: int | None
    attempts: int
    worker: str
    received_at: datetime
    last_received_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None  # the structure set was written
    delivered_at: datetime | None  # the last destination has it
    not_before: datetime | None
    superseded_by: int | None
    purpose: JobPurpose
    shadow_of: int | None  # of a shadow job: the job alongside which it runs
    destinations: str  # "pacs: 4 sent; tps: 3 sent, 1 pending (reason)"


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """One line of a job's history."""

    id: int
    job_id: int
    at: datetime
    kind: EventKind
    from_state: JobState | None
    to_state: JobState
    message: str
