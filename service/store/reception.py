"""What one transaction makes of a batch of received instances: rows, arrivals, and jobs opened or touched."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from service.store.cancelled import open_if_sent_whole
from service.store.database import Database
from service.store.revival import revive
from service.store.rows import ReceivedInstance
from service.store.schema import arrival, instance, job
from service.store.states import EventKind, JobState, Outcome
from service.store.versions import Requester, open_version, tell_latest


def record_batch(
    database: Database, connection: Connection, batch: Sequence[ReceivedInstance]
) -> list[Outcome]:
    """Record the batch in the caller's transaction and give the outcome of each, in order."""
    now = database.clock()
    outcomes, ids = _keep_instances(database, connection, batch, now)
    by_requester: dict[Requester, list[ReceivedInstance]] = defaultdict(list)
    conflicts: dict[Requester, list[str]] = defaultdict(list)
    for received, outcome in zip(batch, outcomes, strict=True):
        requester = Requester(
            series_uid=received.series_uid, called_aet=received.called_aet, calling_aet=received.calling_aet
        )
        if outcome is Outcome.CONFLICT:
            conflicts[requester].append(received.sop_instance_uid)
        elif received.opens_job:
            by_requester[requester].append(received)
    for requester in sorted(
        by_requester
    ):  # the same order everywhere, so that two recorders cannot block each other
        _arrive(database, connection, requester, by_requester[requester], ids, now)
    for requester in sorted(conflicts):
        message = (
            f"refused: another image with the SOP Instance UID {conflicts[requester][0]} is already kept"
        )
        tell_latest(connection, requester, EventKind.CONFLICT, message, now)
    return outcomes


def _keep_instances(
    database: Database, connection: Connection, batch: Sequence[ReceivedInstance], now: datetime
) -> tuple[list[Outcome], Mapping[str, int]]:
    """Insert the instances that are not there yet; give the outcomes and the row ids by SOP Instance UID."""
    first = {received.sop_instance_uid: received for received in reversed(batch)}
    new = connection.execute(
        database.insert(instance)
        .on_conflict_do_nothing(index_elements=["sop_instance_uid"])
        .returning(instance.c.sop_instance_uid),
        [_instance_values(first[uid], now) for uid in sorted(first)],
    )
    fresh = set(new.scalars())
    known = {uid: _instance_values(one, now) for uid, one in first.items() if uid not in fresh}
    fresh |= revive(connection, known, now)
    kept = {
        row.sop_instance_uid: row
        for row in connection.execute(
            select(instance.c.id, instance.c.sop_instance_uid, instance.c.sha256).where(
                instance.c.sop_instance_uid.in_(first)
            )
        )
    }
    outcomes = []
    for received in batch:
        row = kept[received.sop_instance_uid]
        if row.sha256 != received.file.sha256:
            outcomes.append(Outcome.CONFLICT)
        elif received.sop_instance_uid in fresh and first[received.sop_instance_uid] is received:
            outcomes.append(Outcome.NEW)
        else:
            outcomes.append(Outcome.DUPLICATE)
    return outcomes, {uid: row.id for uid, row in kept.items()}


def _instance_values(received: ReceivedInstance, now: datetime) -> dict[str, Any]:
    return {
        "sop_instance_uid": received.sop_instance_uid,
        "sop_class_uid": received.sop_class_uid,
        "series_uid": received.series_uid,
        "study_uid": received.study_uid,
        "modality": received.modality,
        "transfer_syntax_uid": received.transfer_syntax_uid,
        "peer_host": received.peer_host,
        "path": received.file.path,
        "size_bytes": received.file.size_bytes,
        "header_bytes": received.file.header_bytes,
        "sha256": received.file.sha256,
        "received_at": now,
    }


def _arrive(
    database: Database,
    connection: Connection,
    requester: Requester,
    slices: Sequence[ReceivedInstance],
    ids: Mapping[str, int],
    now: datetime,
) -> None:
    """Note which slices came for this requester; new ones open or touch its job, known ones change nothing."""
    wanted = {ids[received.sop_instance_uid] for received in slices}
    known = _known_arrivals(connection, requester, wanted)
    current: Row[Any] | None
    if wanted - known:
        current = open_version(database, connection, requester, slices[0].study_uid)
        added = _add_arrivals(database, connection, requester, wanted - known, current.version)
        connection.execute(
            update(job)
            .where(job.c.id == current.id)
            .values(slice_count=job.c.slice_count + added, last_received_at=now)
        )
    elif known:
        message = "images of this series were sent again; they are already kept and change nothing"
        current = tell_latest(connection, requester, EventKind.SENT_AGAIN, message, now)
    else:
        return
    if current is not None and current.state is JobState.CANCELLED:
        open_if_sent_whole(database, connection, current, wanted, now)


def _known_arrivals(connection: Connection, requester: Requester, ids: Iterable[int]) -> set[int]:
    return set(
        connection.execute(
            select(arrival.c.instance_id).where(
                arrival.c.instance_id.in_(ids),
                arrival.c.called_aet == requester.called_aet,
                arrival.c.calling_aet == requester.calling_aet,
            )
        ).scalars()
    )


def _add_arrivals(
    database: Database, connection: Connection, requester: Requester, ids: Iterable[int], version: int
) -> int:
    added = connection.execute(
        database.insert(arrival).on_conflict_do_nothing().returning(arrival.c.instance_id),
        [
            {
                "instance_id": instance_id,
                "called_aet": requester.called_aet,
                "calling_aet": requester.calling_aet,
                "version": version,
            }
            for instance_id in sorted(ids)
        ],
    )
    return len(added.all())
