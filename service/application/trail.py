"""The use cases of the audit trail: read it, verify it, and record actions that no other use case records."""

from collections.abc import Callable, Sequence

from service.application.actors import Actor, Operation
from service.application.audited import perform
from service.store import AuditEntry, Database, TrailCheck, TrailHead, TrailQuery, check_trail, read_entries


def read_trail(database: Database, actor: Actor, which: TrailQuery) -> Sequence[AuditEntry]:
    """Return the newest matching entries, oldest first; reading is itself recorded as the next entry.

    Raises:
        NotPermitted: the actor may not read the trail.
    """
    period = [
        f"{name} {value}" for name, value in vars(which).items() if value is not None and name != "limit"
    ]
    return perform(
        database,
        actor,
        Operation.AUDIT,
        None,
        lambda transaction: read_entries(transaction, which),
        detail=", ".join(period),
    )


def prove_trail(database: Database, actor: Actor, known: Sequence[TrailHead] = ()) -> TrailCheck:
    """Verify the whole chain of entries; the result is recorded as the next entry.

    Raises:
        NotPermitted: the actor may not read the trail.
    """
    with database.reading() as connection:  # may take seconds, while others write
        found = check_trail(connection, known)
    said = found.broken or f"{found.entries} entries are unchanged"
    detail = "; ".join(filter(None, (f"verified: {said}", found.unguarded)))
    perform(database, actor, Operation.AUDIT, None, lambda _: None, detail=detail)
    return found


def record_action(
    database: Database, actor: Actor, operation: Operation, *, job_id: int | None = None, detail: str = ""
) -> None:
    """Record a view, or an order whose work is not a database transaction, before it begins.

    Raises:
        NotPermitted: the actor's role does not permit it.
    """
    perform(database, actor, operation, job_id, lambda _: None, detail=detail)


def change_models(
    database: Database, actor: Actor, operation: Operation, change: Callable[[], None], what: str
) -> None:
    """Change the model repository: the change is recorded in the audit trail, or is not made.

    Raises:
        NotPermitted: the actor's role does not permit the operation.
    """
    perform(database, actor, operation, None, lambda _: change(), detail=what)
