"""The transaction of a use case: the change and its audit entry are committed together, or neither is."""

from collections.abc import Callable
from typing import TypeVar

from service.application.actors import Actor, Operation, require_permission
from service.errors import Refused
from service.store import AuditEvent, AuditKind, AuditOutcome, Database, Transaction, audit_action

Result = TypeVar("Result")

LOOKS = frozenset(
    {
        Operation.SHOW,
        Operation.EVENTS,
        Operation.JOBS,
        Operation.AUDIT,
        Operation.VERIFY,
        Operation.RETENTION,
        Operation.RECOVERY,
        Operation.VIEW_IMAGES,
        Operation.PEOPLE,
        Operation.RULES,
        Operation.DICOMWEB_READ,
    }
)
"""Operations that change nothing; the audit trail records that something was viewed."""


def perform(  # noqa: PLR0913 # who, what, of what, and how it is recorded
    database: Database,
    actor: Actor,
    action: Operation,
    job_id: int | None,
    act: Callable[[Transaction], Result],
    *,
    detail: str = "",
    study_uid: str = "",
    describe: Callable[[Result], str] = lambda _: "",
) -> Result:
    """Check the permission, act, and record the action, in one transaction.

    A refused action changes nothing and is recorded as refused, with the reason. Any other error leaves neither
    change nor entry.

    Args:
        database: the node's.
        actor: recorded with the action.
        action: recorded, and checked against the table of permissions.
        job_id: the job that is viewed or changed, which need not exist; None if no job is concerned.
        act: makes the change in the transaction that it is given.
        detail: recorded with the action; without patient data.
        study_uid: of the study that it is about; that of a job is known.
        describe: says what came of it, recorded after `detail`; without patient data.

    Raises:
        NotPermitted: the actor's role does not permit the action.
        Refused: whatever act() refuses.
    """
    with database.writing() as transaction:
        try:
            require_permission(actor, action)
            with transaction.begin_nested():
                result = act(transaction)
        except Refused as error:
            refused = error
            reason = "; ".join(filter(None, (detail, str(error))))
            event = _event(actor, action, AuditOutcome.MINOR_FAILURE, reason, study_uid)
        else:
            said = "; ".join(filter(None, (detail, describe(result))))
            audit_action(
                database, transaction, job_id, _event(actor, action, AuditOutcome.SUCCESS, said, study_uid)
            )
            return result
        audit_action(database, transaction, job_id, event)
    raise refused


def _event(actor: Actor, action: Operation, outcome: AuditOutcome, detail: str, study_uid: str) -> AuditEvent:
    return AuditEvent(
        kind=AuditKind.LOOKED_AT if action in LOOKS else AuditKind.ORDERED,
        outcome=outcome,
        role=actor.entry,
        actor=actor.name,
        address=actor.address,
        target=action.value,
        study_uid=study_uid,
        detail="; ".join(filter(None, (detail, actor.detail))),
    )
