"""The audit trail: rows that are added but never changed, and which of them have yet to be forwarded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select, update

from service.store.audit.chain import TrailCheck, TrailHead, append_entries, check_trail, newest_entry
from service.store.database import Database
from service.store.records import ClaimedDelivery
from service.store.states import DeliveryKind, EventKind
from service.store.tables.audit_schema import audit_event, audit_forwarding
from service.store.tables.schema import job


class AuditKind(StrEnum):
    """Kinds of events, as named in the audit trail."""

    STARTED = "started"
    STOPPED = "stopped"
    RECEIVED = "received"
    REFUSED = "association refused"
    CONTOURED = "contoured"
    SENDING = "sending"
    SENT = "sent"
    LOOKED_AT = "looked at"
    ORDERED = "ordered"
    DELETED = "deleted"
    SIGNED_IN = "signed in"
    SIGNED_OUT = "signed out"


class AuditOutcome(StrEnum):
    """The outcome of an event (EventOutcomeIndicator, PS3.15 A.5.1)."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"
    MAJOR_FAILURE = "12"


FAILURE_REPORT = "failure report"  # the detail of an event about one


@dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One event; fields that do not apply are empty."""

    kind: AuditKind
    outcome: AuditOutcome = AuditOutcome.SUCCESS
    role: str = ""  # the part of the node that recorded it
    actor: str = ""  # who did it: the AE title of a sender, the account of a person
    address: str = ""  # the address it came from
    target: str = ""  # to whom or what: the called AE title, the destination, the order given
    job_id: int | None = None
    study_uid: str = ""
    sop_classes: str = ""  # "<UID>=<count>", separated by spaces
    instance_count: int = 0
    patient_id: str = ""  # only if the settings ask for it
    detail: str = ""  # in plain words, without patient data


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """A row of the trail."""

    id: int
    at: datetime
    event: AuditEvent


@dataclass(frozen=True, kw_only=True)
class TrailQuery:
    """Which entries are asked for; None: of any time, study, actor or job. `before_id`: entries before that one."""

    since: datetime | None = None
    until: datetime | None = None
    study_uid: str | None = None
    actor: str | None = None
    job_id: int | None = None
    before_id: int | None = None
    limit: int = 1000


class AuditLog:
    """Adds to the audit trail and reads it. Nothing here changes or removes a row; the database refuses that too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, events: Sequence[tuple[datetime, AuditEvent]]) -> None:
        """Add events, each with the time at which it happened: all of them or, if it raises, none."""
        with self._database.writing() as connection:
            append_events(connection, events)

    def entries(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        study_uid: str | None = None,
        limit: int = 1000,
    ) -> list[AuditEntry]:
        """Return the newest entries of a period, oldest first."""
        which = TrailQuery(since=since, until=until, study_uid=study_uid, limit=limit)
        with self._database.reading() as connection:
            return read_entries(connection, which)

    def check(self, known: Sequence[TrailHead] = ()) -> TrailCheck:
        """Verify the whole chain; ``known``: ends of it that were noted elsewhere."""
        with self._database.reading() as connection:
            return check_trail(connection, known)

    def head(self) -> TrailHead:
        """Return the newest entry's number and hash, to be noted elsewhere."""
        with self._database.reading() as connection:
            return newest_entry(connection)

    def to_forward(self, limit: int) -> list[AuditEntry]:
        """Return the oldest entries that have not been forwarded."""
        query = (
            select(audit_event)
            .join(audit_forwarding, audit_forwarding.c.event_id == audit_event.c.id)
            .where(audit_forwarding.c.forwarded_at.is_(None))
            .order_by(audit_event.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [_entry(row._asdict()) for row in connection.execute(query)]

    def forwarded(self, ids: Sequence[int]) -> None:
        """Record that these entries have been forwarded."""
        with self._database.writing() as connection:
            connection.execute(
                update(audit_forwarding)
                .where(audit_forwarding.c.event_id.in_(ids))
                .values(forwarded_at=self._database.clock())
            )

    def patient_of(self, study_uid: str) -> str:
        """Return the Patient ID that was recorded when the study came; empty if none was."""
        query = (
            select(audit_event.c.patient_id)
            .where(audit_event.c.study_uid == study_uid, audit_event.c.patient_id != "")
            .order_by(audit_event.c.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none() or ""


def append_events(connection: Connection, events: Sequence[tuple[datetime, AuditEvent]]) -> None:
    """Add events in the caller's transaction, as its last step: other writers of the trail wait for its end."""
    append_entries(connection, [{"at": at, **vars(event)} for at, event in events])


def read_entries(connection: Connection, which: TrailQuery) -> list[AuditEntry]:
    """Return the newest of the entries that are asked for, oldest first."""
    query = select(audit_event).order_by(audit_event.c.id.desc()).limit(which.limit)
    if which.since is not None:
        query = query.where(audit_event.c.at >= which.since)
    if which.until is not None:
        query = query.where(audit_event.c.at < which.until)
    if which.study_uid is not None:
        query = query.where(audit_event.c.study_uid == which.study_uid)
    if which.actor is not None:
        query = query.where(audit_event.c.actor == which.actor)
    if which.job_id is not None:
        query = query.where(audit_event.c.job_id == which.job_id)
    if which.before_id is not None:
        query = query.where(audit_event.c.id < which.before_id)
    return [_entry(row._asdict()) for row in connection.execute(query)][::-1]


def audit_job(connection: Connection, job_id: int, at: datetime, event: AuditEvent) -> bool:
    """Add an event about a job in the caller's transaction: it is recorded if and only if the change is committed.

    Return False, and add nothing, if there is no such job.
    """
    study_uid = connection.execute(select(job.c.study_uid).where(job.c.id == job_id)).scalar_one_or_none()
    if study_uid is None:
        return False
    append_events(connection, [(at, replace(event, job_id=job_id, study_uid=study_uid))])
    return True


def audit_action(database: Database, connection: Connection, job_id: int | None, event: AuditEvent) -> None:
    """Record, in the caller's transaction, that somebody looked or ordered; without a study if there is no such job."""
    at = database.clock()
    if job_id is None or not audit_job(connection, job_id, at, event):
        append_events(connection, [(at, replace(event, job_id=job_id))])


def removal_event(why: str, belongs_to: str, study_uid: str, files: int) -> AuditEvent:
    """Return the event that records that retention removes files of one series or job."""
    return AuditEvent(
        kind=AuditKind.DELETED,
        role="retention",
        target=belongs_to,
        study_uid=study_uid,
        instance_count=files,
        detail=why,
    )


def audit_beginning(connection: Connection, claim: ClaimedDelivery, at: datetime) -> None:
    """Record that an object is about to be sent to a destination: before its first attempt only."""
    if claim.attempt == 1 and not claim.is_sent:
        _audit_transfer(connection, claim, AuditKind.SENDING, AuditOutcome.SUCCESS, at)


def audit_delivery(
    connection: Connection, claim: ClaimedDelivery, kind: EventKind, at: datetime, *, is_last: bool
) -> None:
    """Record that a destination took an object, refused it for good, or did not take it at the last attempt.

    An attempt that will be repeated is not an event yet.
    """
    failed = kind is EventKind.SEND_REJECTED or (kind is EventKind.SEND_FAILED and is_last)
    if failed or kind is EventKind.SENT:
        outcome = AuditOutcome.SERIOUS_FAILURE if failed else AuditOutcome.SUCCESS
        _audit_transfer(connection, claim, AuditKind.SENT, outcome, at)


def _audit_transfer(
    connection: Connection, claim: ClaimedDelivery, kind: AuditKind, outcome: AuditOutcome, at: datetime
) -> None:
    event = AuditEvent(
        kind=kind,
        outcome=outcome,
        role="send",
        target=claim.destination,
        instance_count=1,
        detail=FAILURE_REPORT if claim.kind is DeliveryKind.FAILURE_REPORT else "",
    )
    audit_job(connection, claim.job_id, at, event)


def _entry(row: dict[str, Any]) -> AuditEntry:
    number, at = row.pop("id"), row.pop("at")
    del row["chain"]
    row["kind"], row["outcome"] = AuditKind(row["kind"]), AuditOutcome(row["outcome"])
    return AuditEntry(id=number, at=at, event=AuditEvent(**row))
