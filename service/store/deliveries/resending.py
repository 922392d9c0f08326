"""Send a job's objects once more, or now, in the caller's transaction, which adds the audit entry."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, insert, select, update

from service.store.database import Database
from service.store.deliveries.leases import is_wanted_now
from service.store.errors import NotAllowed
from service.store.jobs.manual_changes import AGAIN, locked
from service.store.jobs.transitions import HistoryLine, add_history_line
from service.store.states import RESENDABLE, DeliveryKind, DeliveryState, EventKind
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import delivery, job

UNSENT = (DeliveryState.PENDING, DeliveryState.SENDING)


def resend(
    database: Database, connection: Connection, job_id: int, destination: str, like: Sequence[str] = ()
) -> int:
    """Send a job's objects to a destination once more; return the number of objects.

    The job keeps its state: one that is done stays done, whatever happens to these deliveries.

    Args:
        database: the node's.
        connection: of the transaction.
        job_id: the job's number; it is delivering or done.
        destination: the destination, which gets the same bytes with the same UIDs.
        like: destinations that take the same bytes: if the job has nothing for `destination`, it gets what was made
            for the first of them.

    Raises:
        NotAllowed: there is no such job, its state does not allow it, nothing was made for it that this destination
            takes, the objects were removed, or they are on their way already.
    """
    row = locked(connection, job_id, "sent again", RESENDABLE)
    if row.superseded_by is not None:
        raise NotAllowed(f"job {job_id} cannot be sent again: job {row.superseded_by} took its place")
    of_the_result = (delivery.c.job_id == job_id, delivery.c.kind == DeliveryKind.RESULT)
    query = (
        select(delivery, artifact.c.removed_at)
        .join(artifact, artifact.c.id == delivery.c.artifact_id)
        .where(*of_the_result, delivery.c.state != DeliveryState.STANDBY)
        .order_by(delivery.c.id)
    )
    made = connection.execute(query).all()
    source = next(
        (name for name in (destination, *like) if any(one.destination == name for one in made)), None
    )
    found = [one for one in made if one.destination == source]
    if not found:
        raise NotAllowed(
            f"nothing was made for job {job_id} that {destination} takes as it is; run the job again by a rule that "
            f"names {destination}"
        )
    if any(one.removed_at is not None for one in found):
        raise NotAllowed(f"retention has removed the objects made for job {job_id}; run it again")
    if source == destination and any(one.state in UNSENT for one in found):
        raise NotAllowed(f"job {job_id} is on its way to {destination} already")
    if source == destination:
        ids = [one.id for one in found]
        again = {**AGAIN, "state": DeliveryState.PENDING, "sent_at": None, "confirmed_at": None, "note": ""}
        connection.execute(update(delivery).where(delivery.c.id.in_(ids)).values(again))
    else:
        new = {"job_id": job_id, "destination": destination, "kind": DeliveryKind.RESULT}
        pending = {"state": DeliveryState.PENDING, "created_at": database.clock()}
        connection.execute(
            insert(delivery), [{**new, **pending, "artifact_id": one.artifact_id} for one in found]
        )
    message = f"to be sent again to {destination}, by hand"
    line = HistoryLine(kind=EventKind.NOTE, source=row.state, to=row.state, message=message)
    add_history_line(connection, job_id, database.clock(), line)
    return len(found)


def send_now(database: Database, connection: Connection, destination: str) -> int:
    """Make due what waits for its next attempt to reach a destination; return the number of objects.

    Attempts count on. What is being sent, or waits for its confirmation, stays as it is.
    """
    waits = and_(
        delivery.c.destination == destination,
        delivery.c.state == DeliveryState.PENDING,
        delivery.c.not_before.is_not(None),
        is_wanted_now(),
    )
    query = select(delivery.c.id, job.c.id.label("job_id"), job.c.state).join(
        job, job.c.id == delivery.c.job_id
    )
    found = connection.execute(query.where(waits).order_by(delivery.c.id)).all()
    ids = [one.id for one in found]
    connection.execute(
        update(delivery).where(delivery.c.id.in_(ids)).values(not_before=None, unreachable=False)
    )
    message = f"to be sent to {destination} now, by hand"
    for job_id, state in {one.job_id: one.state for one in found}.items():
        line = HistoryLine(kind=EventKind.NOTE, source=state, to=state, message=message)
        add_history_line(connection, job_id, database.clock(), line)
    return len(ids)
