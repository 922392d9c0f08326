"""Which structure set of the same series a new one replaces: the last that a destination has, or is being sent."""

from typing import Any

from sqlalchemy import Connection, Row, func, select

from service.store.jobs.split_series import is_within
from service.store.records import Replaced
from service.store.states import ArtifactRole, DeliveryKind, DeliveryState
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import delivery, job

OUT = (DeliveryState.SENDING, DeliveryState.UNCONFIRMED, DeliveryState.CONFIRMING, DeliveryState.SENT)


def replacement(connection: Connection, row: Row[Any], rule: str) -> dict[str, int | None]:
    """Return the columns of a job about to be queued that say which job's structure set its own replaces.

    That job is an earlier version of it, or one with the same rule that had only some of these images because the
    others came under another AE title.
    """
    went_out = select(delivery.c.id).where(
        delivery.c.job_id == job.c.id, delivery.c.kind == DeliveryKind.RESULT, delivery.c.state.in_(OUT)
    )
    earlier = connection.execute(
        select(job)
        .where(
            job.c.series_uid == row.series_uid,
            job.c.study_uid == row.study_uid,
            job.c.id < row.id,
            went_out.exists(),
        )
        .order_by(job.c.id.desc())
    ).all()
    for one in earlier:
        is_mine = (one.called_aet, one.calling_aet) == (row.called_aet, row.calling_aet)
        if is_mine or (one.rule == rule and is_within(connection, one, row)):
            return {"replaces": one.id, "set_version": one.set_version + 1}
    return {"replaces": None, "set_version": 1}


def replaced_by(connection: Connection, row: Row[Any]) -> Replaced | None:
    """Return what a queued job's structure set replaces."""
    if row.replaces is None:
        return None
    made = select(artifact.c.sop_instance_uid, artifact.c.path, artifact.c.sha256).where(
        artifact.c.job_id == row.replaces, artifact.c.role == ArtifactRole.RESULT
    )
    uid = connection.execute(
        select(func.coalesce(job.c.result_uid, job.c.uid, type_=job.c.uid.type)).where(
            job.c.id == row.replaces
        )
    ).scalar_one()
    found = connection.execute(made).all()
    return Replaced(
        job_id=row.replaces,
        uid=uid,
        sop_instance_uids=frozenset(one.sop_instance_uid for one in found),
        files=frozenset((one.path, one.sha256) for one in found if not one.sop_instance_uid),
    )
