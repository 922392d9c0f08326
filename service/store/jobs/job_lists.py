"""Lists of jobs for the web page: filters, search, and pages, each of which begins below a job's number."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, tuple_

from service.config import JobPurpose
from service.store.database import Database
from service.store.jobs.job_repository import statuses_of
from service.store.jobs.series_facts import SeriesHeader, folded, header_of
from service.store.records import JobEvent, JobStatus
from service.store.states import FAILED_FOR_GOOD, DeliveryState, JobState
from service.store.tables.schema import delivery, job, job_event
from service.store.tables.structure_schema import series_fact

NOT_TAKEN = (
    DeliveryState.PENDING,
    DeliveryState.SENDING,
    DeliveryState.REJECTED,
    DeliveryState.FAILED,
)
_UID = re.compile(r"[0-2](\.\d+){2,}")
MOST_SEARCHED = 100_000
"""Only so many of the newest jobs are searched for parts of words."""
MOST_ASKED = 1000
"""Of the deliveries that were not taken, the newest tell what destinations say."""


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs a list shows; empty: all but superseded ones."""

    states: tuple[JobState, ...] = ()
    rule: str = ""
    text: str = ""  # a job's number, a UID, or a part of name, ID, accession number or description
    since: datetime | None = None  # the last image arrived then or later
    before_id: int | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class ListedJob:
    """A job with what its series says; None if it has not been inspected yet."""

    status: JobStatus
    series: SeriesHeader | None


class JobLists:
    """The lists of the page, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: JobFilter) -> list[ListedJob]:
        """Return one page of a list."""
        with self._database.reading() as connection:
            return read_page(connection, wanted)

    def needing_a_person(self, *, limit: int = 50) -> list[ListedJob]:
        """Return the jobs that need a person, newest first: failed or refused, and not superseded."""
        query = (
            select(job.c.id)
            .where(job.c.state.in_(FAILED_FOR_GOOD), job.c.superseded_by.is_(None))
            .order_by(job.c.id.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            return _listed(connection, connection.execute(query).scalars().all())

    def of(self, job_ids: Collection[int]) -> list[ListedJob]:
        """Return jobs by their numbers, highest first."""
        with self._database.reading() as connection:
            return _listed(connection, sorted(job_ids, reverse=True))

    def versions(self, status: JobStatus) -> list[JobStatus]:
        """Return every version of a job, newest first."""
        same = (
            job.c.series_uid == status.series_uid,
            job.c.study_uid == status.study_uid,
            job.c.called_aet == status.called_aet,
            job.c.calling_aet == status.calling_aet,
        )
        with self._database.reading() as connection:
            ids = connection.execute(select(job.c.id).where(*same).order_by(job.c.id.desc())).scalars().all()
            return statuses_of(connection, ids)

    def counts(self) -> Mapping[JobState, int]:
        """Return the number of jobs in each state that has any."""
        with self._database.reading() as connection:
            rows = connection.execute(select(job.c.state, func.count()).group_by(job.c.state))
            return {row[0]: row[1] for row in rows}

    def by_rule(self, *, days: int = 7) -> Mapping[str, int]:
        """Return the number of jobs of the last days by the rule that took them; the empty name: no rule did."""
        since = self._database.clock() - timedelta(days=days)
        query = (
            select(job.c.rule, func.count())
            .where(job.c.last_received_at >= since, job.c.purpose != JobPurpose.SHADOW)
            .group_by(job.c.rule)
        )
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def last_words(self) -> Mapping[str, str]:
        """Return the last reason for which each destination has not taken a delivery."""
        query = (
            select(delivery.c.destination, delivery.c.reason)
            .where(delivery.c.reason != "", delivery.c.state.in_(NOT_TAKEN))
            .order_by(delivery.c.id.desc())
            .limit(MOST_ASKED)
        )
        with self._database.reading() as connection:
            newest = connection.execute(query).all()
        return {row.destination: row.reason for row in reversed(newest)}

    def newest_event(self) -> int:
        """Return the number of the newest event of any job; 0: there is none."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.max(job_event.c.id))).scalar_one() or 0)

    def changed_since(self, event_id: int, *, limit: int = 1000) -> tuple[int, frozenset[int]]:
        """Return the number of the newest event after the given one, and the jobs of the events up to it."""
        query = (
            select(job_event.c.id, job_event.c.job_id)
            .where(job_event.c.id > event_id)
            .order_by(job_event.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return (rows[-1].id if rows else event_id), frozenset(row.job_id for row in rows)

    def events_after(self, event_id: int, limit: int) -> list[JobEvent]:
        """Return the events of all jobs after the given one, oldest first."""
        query = select(job_event).where(job_event.c.id > event_id).order_by(job_event.c.id).limit(limit)
        with self._database.reading() as connection:
            return [JobEvent(**row._asdict()) for row in connection.execute(query)]


def read_page(connection: Connection, wanted: JobFilter) -> list[ListedJob]:
    """Return one page of a list in the caller's transaction."""
    query = _ids(wanted)
    if wanted.text:
        query = query.where(_found(connection, wanted.text))
    return _listed(connection, connection.execute(query).scalars().all())


def _ids(wanted: JobFilter) -> Select[Any]:
    query = select(job.c.id).order_by(job.c.id.desc()).limit(wanted.limit)
    if wanted.states:
        query = query.where(job.c.state.in_(wanted.states))
    else:
        query = query.where(job.c.state != JobState.SUPERSEDED)
    if wanted.rule:
        query = query.where(job.c.rule == wanted.rule)
    if wanted.since is not None:
        query = query.where(job.c.last_received_at >= wanted.since)
    if wanted.before_id is not None:
        query = query.where(job.c.id < wanted.before_id)
    return query


def _found(connection: Connection, text: str) -> ColumnElement[bool]:
    """Tell, in SQL, whether a job matches a search text."""
    bare = text.strip()
    if _UID.fullmatch(bare):
        return or_(job.c.series_uid == bare, job.c.study_uid == bare)
    words = folded(text).split()
    parts = [series_fact.c.search_text.contains(word, autoescape=True) for word in words]
    newest = int(connection.execute(select(func.max(job.c.id))).scalar_one() or 0)
    # All series that match, in one query: asked job by job, the database would look up 100,000 rows one by one.
    fitting = select(series_fact.c.series_uid, series_fact.c.study_uid).where(*parts)
    in_series = and_(
        job.c.id > newest - MOST_SEARCHED, tuple_(job.c.series_uid, job.c.study_uid).in_(fitting)
    )
    named: list[ColumnElement[bool]] = [in_series]
    if bare.isascii() and bare.isdigit() and len(bare) < 10:
        named.append(job.c.id == int(bare))
    return or_(*named)


def _listed(connection: Connection, ids: Sequence[int]) -> list[ListedJob]:
    statuses = statuses_of(connection, ids)
    named = (  # the series too: by the study alone, no index finds them
        series_fact.c.series_uid.in_({status.series_uid for status in statuses}),
        series_fact.c.study_uid.in_({status.study_uid for status in statuses}),
    )
    rows = connection.execute(select(series_fact).where(*named))
    said = {(row.series_uid, row.study_uid): header_of(row) for row in rows}
    return [
        ListedJob(status=status, series=said.get((status.series_uid, status.study_uid)))
        for status in statuses
    ]
