"""Which files may go: conditions on their rows, by the state of their jobs and the age that the settings allow."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select

from service.store.jobs.row_mapping import of_its_series
from service.store.states import ArtifactRole, DeliveryState, JobState
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import delivery, instance, instance_source, job, job_event

# Whose files nobody needs any more once their time is over; every other state is under way or waits for a person.
ENDED = frozenset({JobState.REFUSED, JobState.NOTHING_TO_CONTOUR, JobState.CANCELLED, JobState.SUPERSEDED})
# What a destination is still to get, or to confirm. Rejected and failed ones stand in a job that failed, or that a
# fallback served.
AWAITED = frozenset(
    {DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.UNCONFIRMED, DeliveryState.CONFIRMING}
)
Condition = ColumnElement[bool]


class RetainedKind(StrEnum):
    """What sort of file may go."""

    IMAGES = "images"
    OTHERS = "other objects"
    ARTIFACTS = "artifacts"


@dataclass(frozen=True, kw_only=True)
class RetentionPolicy:
    """How long each sort of file is kept; None: without limit."""

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
    """Return a job that has the image keeps it."""
    return exists().where(has_the_image(), keeps)


def _has_job() -> Condition:
    return exists().where(has_the_image())


def has_the_image() -> Condition:
    """Tell, in SQL, whether a job has an image: it came for its AE titles, in its version or before."""
    return and_(
        instance_source.c.instance_id == instance.c.id,
        of_its_series(),
        job.c.called_aet == instance_source.c.called_aet,
        job.c.calling_aet == instance_source.c.calling_aet,
        job.c.version >= instance_source.c.version,
    )


def _older(policy: RetentionPolicy, now: datetime) -> Condition:
    """Nothing goes that came a moment ago: a cheap condition before the dear ones."""
    periods = [period for period in (policy.done_images, policy.ended_images) if period is not None]
    return instance.c.received_at <= now - min(periods) if periods else false()


def _keeps_images(policy: RetentionPolicy, now: datetime) -> Condition:
    done, ended = job.c.state == JobState.DONE, job.c.state.in_(ENDED)
    return or_(
        and_(~done, ~ended),
        done if policy.done_images is None else and_(done, _done_at() > now - policy.done_images),
        ended if policy.ended_images is None else and_(ended, _ended_at() > now - policy.ended_images),
        exists().where(delivery.c.job_id == job.c.id, delivery.c.state.in_(AWAITED)),
    )


def _done_at() -> ColumnElement[datetime]:
    """When the last destination had it; of a job without destinations, when its result was kept."""
    return func.coalesce(job.c.delivered_at, job.c.finished_at, type_=job.c.delivered_at.type)


def _ended_at() -> ColumnElement[datetime]:
    return (
        select(func.max(job_event.c.at, type_=job_event.c.at.type))
        .where(job_event.c.job_id == job.c.id)
        .correlate(job)
        .scalar_subquery()
    )


def _spent(before: datetime) -> Condition:
    """Whether the job had ended before then, nobody is still to get this object, and it did not come back later."""
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
        delivery.c.state.in_(AWAITED),
    )
    came_before = or_(artifact.c.role != ArtifactRole.RETURNED, artifact.c.created_at <= before)
    return and_(over, ~awaited, came_before)
