"""Which files may be removed: conditions on their rows, by the states of their jobs and the settings' periods."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select

from service.store.jobs.row_mapping import of_its_series
from service.store.states import UNDER_WAY, ArtifactRole, JobState
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import delivery, instance, instance_source, job, job_event

# Jobs whose files nobody needs once their time is over; the other states, except done, are under way or need a person.
ENDED = frozenset({JobState.REFUSED, JobState.NOTHING_TO_CONTOUR, JobState.CANCELLED, JobState.SUPERSEDED})
Condition = ColumnElement[bool]


class RetainedKind(StrEnum):
    """The kinds of files that retention removes."""

    IMAGES = "images"
    OTHERS = "other objects"
    ARTIFACTS = "artifacts"


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """How long each kind of file is kept; None: without limit."""

    done_images: timedelta | None
    ended_images: timedelta | None
    other_objects: timedelta | None
    results: timedelta | None


def expiry_conditions(policy: RetentionPolicy, now: datetime) -> Mapping[RetainedKind, Condition]:
    """Return the conditions under which a row's file may be removed."""
    came = exists().where(instance_source.c.instance_id == instance.c.id)
    instance_there, artifact_there = instance.c.removed_at.is_(None), artifact.c.removed_at.is_(None)
    return {
        RetainedKind.IMAGES: and_(
            instance_there, came, ~_needed(_keeps_images(policy, now)), _has_job(), _older(policy, now)
        ),
        RetainedKind.OTHERS: false()
        if policy.other_objects is None
        else and_(instance_there, ~came, instance.c.received_at <= now - policy.other_objects),
        RetainedKind.ARTIFACTS: false()
        if policy.results is None
        else and_(artifact_there, _spent(now - policy.results)),
    }


def _needed(keeps: Condition) -> Condition:
    """Tell, in SQL, whether a job that has the image still keeps it."""
    return exists().where(has_the_image(), keeps)


def _has_job() -> Condition:
    return exists().where(has_the_image())


def has_the_image() -> Condition:
    """Tell, in SQL, whether a job has an image: it came for the job's AE titles, in its version or an earlier one."""
    return and_(
        instance_source.c.instance_id == instance.c.id,
        of_its_series(),
        job.c.called_aet == instance_source.c.called_aet,
        job.c.calling_aet == instance_source.c.calling_aet,
        job.c.version >= instance_source.c.version,
    )


def _older(policy: RetentionPolicy, now: datetime) -> Condition:
    """Tell, in SQL, whether an image is old enough for any period: a cheap condition before the expensive ones."""
    periods = [period for period in (policy.done_images, policy.ended_images) if period is not None]
    return instance.c.received_at <= now - min(periods) if periods else false()


def _keeps_images(policy: RetentionPolicy, now: datetime) -> Condition:
    done, ended = job.c.state == JobState.DONE, job.c.state.in_(ENDED)
    return or_(
        and_(~done, ~ended),
        done if policy.done_images is None else and_(done, _done_at() > now - policy.done_images),
        ended if policy.ended_images is None else and_(ended, _ended_at() > now - policy.ended_images),
        exists().where(delivery.c.job_id == job.c.id, delivery.c.state.in_(UNDER_WAY)),
    )


def _done_at() -> ColumnElement[datetime]:
    """Return when the last destination got the result; of a job without destinations, when the result was kept."""
    return func.coalesce(job.c.delivered_at, job.c.finished_at, type_=job.c.delivered_at.type)


def _ended_at() -> ColumnElement[datetime]:
    return (
        select(func.max(job_event.c.at, type_=job_event.c.at.type))
        .where(job_event.c.job_id == job.c.id)
        .correlate(job)
        .scalar_subquery()
    )


def _spent(before: datetime) -> Condition:
    """Tell, in SQL, whether the job ended before then, nobody has yet to get this object, and it is that old."""
    other = artifact.alias()
    over = exists().where(
        job.c.id == artifact.c.job_id,
        or_(
            and_(job.c.state == JobState.DONE, _done_at() <= before),
            and_(job.c.state.in_(ENDED), _ended_at() <= before),
        ),
    )
    awaited = exists().where(
        other.c.path == artifact.c.path,
        delivery.c.artifact_id == other.c.id,
        delivery.c.state.in_(UNDER_WAY),
    )
    came_before = or_(artifact.c.role != ArtifactRole.RETURNED, artifact.c.created_at <= before)
    return and_(over, ~awaited, came_before)
