"""The use cases that change a job: retry, rerun, cancel, resend, prioritise; and send now what waits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from service.application.actors import Actor, Operation
from service.application.audited import Result, perform
from service.config import Settings
from service.errors import Refused
from service.store import (
    Database,
    JobState,
    Transaction,
    Wanted,
    cancel,
    change_priority,
    require_unchanged,
    rerun,
    resend,
    retry,
    send_now,
)
from service.store.jobs.wanted import AS_THE_RULES_SAY

HIGHEST_PRIORITY = 100


def retry_job(database: Database, actor: Actor, job_id: int, *, seen: int | None = None) -> JobState:
    """Try a retrying, failed, refused or cancelled job again; return its new state.

    Args:
        database: the node's.
        actor: who gives the order.
        job_id: the job's number.
        seen: number of the newest event of the job that the actor knows; None: act whatever has happened since.

    Raises:
        NotAllowed: its state does not allow it, or what it needs was removed.
        JobChanged: something happened to the job since the event `seen`.
    """
    return perform(
        database,
        actor,
        Operation.RETRY,
        job_id,
        _since(seen, job_id, lambda transaction: retry(database, transaction, job_id)),
    )


def rerun_job(
    database: Database,
    actor: Actor,
    job_id: int,
    wanted: Wanted = AS_THE_RULES_SAY,
    *,
    seen: int | None = None,
) -> int:
    """Contour a job's images again as a new version; return that job's number.

    `wanted` is the rule or model to use instead of what the settings say; other arguments as in
    retry_job().

    Raises:
        NotAllowed: its state does not allow it, there is a newer version, or its images were removed.
        JobChanged: as in retry_job().
    """

    def act(transaction: Transaction) -> int:
        return rerun(database, transaction, job_id, wanted)

    return perform(database, actor, Operation.RERUN, job_id, _since(seen, job_id, act), detail=wanted.words)


def checked_wanted(settings: Settings, models: Iterable[str], wanted: Wanted) -> Wanted:
    """Return the rule or model wanted for a rerun, if this node has it.

    Raises:
        Refused: there is no such rule that can decide, or no such model.
    """
    rules = [rule.name for rule in settings.deciding_rules]
    if wanted.rule and wanted.rule not in rules:
        raise Refused(
            f"there is no rule {wanted.rule} to contour by; there are: {', '.join(rules) or 'none'}"
        )
    known = sorted(models)
    if wanted.model and wanted.model not in known:
        raise Refused(f"there is no model {wanted.model}; there are: {', '.join(known) or 'none'}")
    if wanted.model_version is not None and not wanted.model:
        raise Refused("a model's version was given without the model")
    return wanted


def cancel_job(
    database: Database,
    actor: Actor,
    job_id: int,
    *,
    reason: str = "cancelled by hand",
    seen: int | None = None,
) -> None:
    """Stop a job and withdraw its deliveries that have not started; arguments as in retry_job().

    Raises:
        NotAllowed: its state does not allow it.
        JobChanged: as in retry_job().
    """

    def act(transaction: Transaction) -> None:
        cancel(database, transaction, job_id, reason)

    perform(database, actor, Operation.CANCEL, job_id, _since(seen, job_id, act))


def prioritise_job(
    database: Database, actor: Actor, job_id: int, priority: int, *, seen: int | None = None
) -> int:
    """Set a job's priority, 0 to 100; return the previous one. Arguments as in retry_job().

    Raises:
        Refused: the priority is out of range.
        NotAllowed: nothing remains to be done for the job.
        JobChanged: as in retry_job().
    """

    def act(transaction: Transaction) -> int:
        if not 0 <= priority <= HIGHEST_PRIORITY:
            raise Refused(
                f"priority {priority} is out of range; allowed: 0 to {HIGHEST_PRIORITY}, the highest first"
            )
        return change_priority(database, transaction, job_id, priority)

    return perform(
        database, actor, Operation.PRIORITY, job_id, _since(seen, job_id, act), detail=str(priority)
    )


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Objects to send once more: to which destination, and how many."""

    destination: str
    objects: int


def resend_job(
    database: Database,
    actor: Actor,
    job_id: int,
    destination: str,
    settings: Settings,
    *,
    seen: int | None = None,
) -> Copies:
    """Send the objects made for a job to a destination once more; other arguments as in retry_job().

    A destination that did not get them before gets those of a destination that accepts the same bytes.

    Raises:
        Refused: there is no such destination in the settings.
        NotAllowed: there is nothing that it accepts, the objects were removed, or they are already on their way.
        JobChanged: as in retry_job().
    """
    like = _takes_the_same(settings, destination)

    def act(transaction: Transaction) -> Copies:
        _require_destination(settings, destination)
        return Copies(
            destination=destination, objects=resend(database, transaction, job_id, destination, like)
        )

    return perform(database, actor, Operation.RESEND, job_id, _since(seen, job_id, act), detail=destination)


def send_now_to(database: Database, actor: Actor, destination: str, settings: Settings) -> int:
    """Try at once to send what waits for a destination, without its next attempt's delay; return how many objects.

    Raises:
        Refused: the settings have no such destination.
    """

    def act(transaction: Transaction) -> int:
        _require_destination(settings, destination)
        return send_now(database, transaction, destination)

    return perform(database, actor, Operation.SEND_NOW, None, act, detail=destination)


def _require_destination(settings: Settings, destination: str) -> None:
    if destination not in settings.destination_names:
        known = ", ".join(settings.destination_names) or "none"
        raise Refused(f"there is no destination {destination} in the settings; there are: {known}")


def _takes_the_same(settings: Settings, destination: str) -> list[str]:
    """Return the other destinations for which the node makes the same bytes."""

    def asks(name: str) -> tuple[object, ...] | None:
        peer = settings.destination(name)
        return None if peer is None else (peer.profile, peer.boundary, peer.boundary_tolerance_mm)

    return [
        name for name in settings.destination_names if name != destination and asks(name) == asks(destination)
    ]


def _since(
    seen: int | None, job_id: int, change: Callable[[Transaction], Result]
) -> Callable[[Transaction], Result]:
    """Return a change that is made only if nothing has happened to the job since its event `seen`."""

    def act(transaction: Transaction) -> Result:
        if seen is not None:
            require_unchanged(transaction, job_id, seen)
        return change(transaction)

    return act
