"""The use cases of the audit trail: read it, prove it, and note in it a look that no other use case notes."""

from collections.abc import Callable, Sequence

from service.application.actors import Actor, Operation
from service.application.audited import perform
from service.store import AuditEntry, Database, TrailCheck, TrailHead, TrailQuery, check_trail, read_entries


def read_trail(database: Database, actor: Actor, which: TrailQuery) -> Sequence[AuditEntry]:
    """Give the newest entries that are asked for, oldest first; this look is the next entry.

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
    """Go along the whole chain of entries; what was found is the next entry.

    Raises:
        NotPermitted: the actor may not read the trail.
    """
    with database.reading() as connection:  # it may take seconds, in which others write
        found = check_trail(connection, known)
    said = found.broken or f"{found.entries} entries are what was written"
    detail = "; ".join(filter(None, (f"verified: {said}", found.unguarded)))
    perform(database, actor, Operation.AUDIT, None, lambda _: None, detail=detail)
    return found


def record_action(
    database: Database, actor: Actor, operation: Operation, *, job_id: int | None = None, detail: str = ""
) -> None:
    """Note a look, or an order whose work is no transaction of the database, before it begins.

    Raises:
        NotPermitted: the actor's role does not permit it.
    """
    perform(database, actor, operation, job_id, lambda _: None, detail=detail)


def change_models(
    database: Database, actor: Actor, operation: Operation, change: Callable[[], None], what: str
) -> None:
    """Change the model repository: the change stands in the trail, or is not made.

    Raises:
        NotPermitted: the actor's role does not permit the operation.
    """
    perform(database, actor, operation, None, lambda _: change(), detail=what)
