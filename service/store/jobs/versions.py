"""Versions of a job: a series of one sender has at most one open version; a newer version ends the older."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select, update

from service.config import JobPurpose
from service.store.database import Database
from service.store.intake.reingest import kept
from service.store.jobs.shadow_jobs import end_shadow_jobs
from service.store.jobs.transitions import (
    NO_LEASE,
    HistoryLine,
    Transition,
    add_history_line,
    move,
    withdraw_deliveries,
)
from service.store.jobs.wanted import Wanted, wanted_of
from service.store.records import ContouringOrder
from service.store.states import ENDED_BY_A_NEWER_VERSION, OPEN, EventKind, JobState
from service.store.tables.schema import job, job_event

_NAMESPACE = UUID("d5a1c1de-3f0e-5c55-9d0a-0e6c0c1b7d42")
ONE_EVENT_EVERY = timedelta(seconds=60)  # a series that is sent again is one event, not one per slice


@dataclass(frozen=True, kw_only=True, order=True)
class SeriesKey:
    """Whose job a slice belongs to: one series of one study, sent by one AE title to one AE title."""

    series_uid: str
    study_uid: str
    called_aet: str
    calling_aet: str


def open_version(database: Database, connection: Connection, requester: SeriesKey) -> Row[Any]:
    """Return the job that takes the requester's new images, locked; a new version if the latest is closed or ended.

    The version after a cancelled one is cancelled too: its images are kept, and `retry` contours them.
    """
    while True:
        latest = _latest(connection, requester)
        if latest is not None and latest.state in OPEN:
            return latest
        if latest is not None and latest.state is JobState.CANCELLED and latest.content_hash is None:
            return latest
        opened = (
            _first(database, connection, requester) if latest is None else _next(database, connection, latest)
        )
        if opened is not None:
            return opened  # otherwise another process opened it a moment ago


def open_next_version(
    database: Database,
    connection: Connection,
    old: Row[Any],
    reason: str,
    *,
    state: JobState = JobState.RECEIVING,
    wanted: Wanted | None = None,
) -> Row[Any] | None:
    """Open the version after a locked one, with its slices, and end that one; None if there already is one.

    `wanted`: what the person who orders it asks for; None: nobody orders it, and what was asked of the locked one still
    applies. An ordered version counts as another pass; so does one whose images were removed in part, because what was
    made from them may be gone too.
    """
    now = database.clock()
    asked = wanted_of(old) if wanted is None else wanted
    slices = kept(connection, old)
    opened = _insert(
        database,
        connection,
        uid=job_uid(_key(old), old.version + 1),
        version=old.version + 1,
        state=state,
        reason=reason if state is JobState.CANCELLED else "",
        series_uid=old.series_uid,
        study_uid=old.study_uid,
        called_aet=old.called_aet,
        calling_aet=old.calling_aet,
        slice_count=slices,
        pass_number=old.pass_number + int(wanted is not None or slices < old.slice_count),
        received_at=now,
        last_received_at=old.last_received_at,
        wanted_rule=asked.rule,
        wanted_model=asked.model,
        wanted_model_version=asked.model_version,
    )
    if opened is None:
        return None
    add_history_line(
        connection,
        opened.id,
        now,
        HistoryLine(kind=EventKind.OPENED, source=None, to=state, message=reason),
    )
    supersede(connection, old, opened.id, reason, now)
    return opened


def job_uid(requester: SeriesKey, version: int) -> UUID:
    """Return the UID of a version of a job; it is the same after a loss of the database."""
    return _named("job", *vars(requester).values(), version)


def result_uid(row: Row[Any], content_hash: str, order: ContouringOrder) -> UUID:
    """Return the UID of what a job contours; UIDs of results are derived from it, so that a repeat has the same ones.

    It depends on the images, their requester, rule, model and template, and the number of the pass.
    """
    contoured_by = (order.rule, order.model, order.model_version, order.template_sha256)
    return _named("result", *vars(_key(row)).values(), content_hash, *contoured_by, row.pass_number)


def _named(*parts: object) -> UUID:
    words = [str(part) for part in parts]
    return uuid5(_NAMESPACE, "".join(f"{len(word)}:{word}" for word in words))


def _key(row: Row[Any]) -> SeriesKey:
    return SeriesKey(
        series_uid=row.series_uid,
        study_uid=row.study_uid,
        called_aet=row.called_aet,
        calling_aet=row.calling_aet,
    )


def supersede(connection: Connection, old: Row[Any], by: int, reason: str, now: datetime) -> None:
    """Record which job takes a locked job's place, and end the locked one if it was still under way."""
    connection.execute(update(job).where(job.c.id == old.id).values(superseded_by=by))
    message = f"job {by} takes its place: {reason}"
    step = Transition(
        to=JobState.SUPERSEDED, kind=EventKind.SUPERSEDED, sources=ENDED_BY_A_NEWER_VERSION, message=message
    )
    move(connection, old, step, now, reason=message, not_before=None, **NO_LEASE)
    withdraw_deliveries(
        connection, old.id, message
    )  # a refused job stays refused: these are its failure reports
    end_shadow_jobs(connection, old, message, now)


def note_in_latest(
    connection: Connection, requester: SeriesKey, kind: EventKind, message: str, now: datetime
) -> Row[Any] | None:
    """Add a line to the history of the requester's latest job, unless it has one of this kind from the last minute.

    That an open job was sent again is not noted. Return that job's row, locked; None if there is no job.
    """
    latest = _latest(connection, requester)
    if latest is None or (kind is EventKind.SENT_AGAIN and latest.state in OPEN):
        return latest
    said = connection.execute(
        select(job_event.c.id).where(
            job_event.c.job_id == latest.id,
            job_event.c.kind == kind,
            job_event.c.at.between(now - ONE_EVENT_EVERY, now),
        )
    ).first()
    if said is None:
        add_history_line(
            connection,
            latest.id,
            now,
            HistoryLine(kind=kind, source=latest.state, to=latest.state, message=message),
        )
    return latest


def _next(database: Database, connection: Connection, latest: Row[Any]) -> Row[Any] | None:
    """Open the version after a closed or ended one; after a cancelled one, it is cancelled too."""
    if latest.state is not JobState.CANCELLED:
        return open_next_version(
            database, connection, latest, f"more images came after version {latest.version} was closed"
        )
    reason = (
        f"more images came after version {latest.version} was cancelled; the series stays cancelled until `retry`, "
        "or until its sender sends all of it again"
    )
    return open_next_version(database, connection, latest, reason, state=JobState.CANCELLED)


def _first(database: Database, connection: Connection, requester: SeriesKey) -> Row[Any] | None:
    now = database.clock()
    opened = _insert(
        database,
        connection,
        uid=job_uid(requester, 1),
        version=1,
        state=JobState.RECEIVING,
        series_uid=requester.series_uid,
        study_uid=requester.study_uid,
        called_aet=requester.called_aet,
        calling_aet=requester.calling_aet,
        received_at=now,
        last_received_at=now,
    )
    if opened is not None:
        message = _other_study(connection, requester)
        line = HistoryLine(kind=EventKind.OPENED, source=None, to=JobState.RECEIVING, message=message)
        add_history_line(connection, opened.id, now, line)
    return opened


def _other_study(connection: Connection, requester: SeriesKey) -> str:
    """Say so if another study has the Series Instance UID too: an archive moved it, or two series share it."""
    latest = select(func.max(job.c.id)).where(
        job.c.series_uid == requester.series_uid, job.c.study_uid != requester.study_uid
    )
    found = connection.execute(latest).scalar_one()
    return f"another study has a series with this Series Instance UID too: job {found}" if found else ""


def _insert(database: Database, connection: Connection, **values: Any) -> Row[Any] | None:
    statement = database.insert(job).values(**values).on_conflict_do_nothing().returning(job)
    return connection.execute(statement).one_or_none()


def _latest(connection: Connection, requester: SeriesKey) -> Row[Any] | None:
    return connection.execute(
        select(job).where(_belongs_to(requester)).order_by(job.c.version.desc()).limit(1).with_for_update()
    ).one_or_none()


def _belongs_to(requester: SeriesKey) -> ColumnElement[bool]:
    return and_(
        job.c.series_uid == requester.series_uid,
        job.c.study_uid == requester.study_uid,
        job.c.called_aet == requester.called_aet,
        job.c.calling_aet == requester.calling_aet,
        job.c.purpose != JobPurpose.SHADOW,
    )
