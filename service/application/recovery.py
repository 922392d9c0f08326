"""The use case after a lost, emptied or older database: show what is uncertain, and cancel or deliver it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.application.actors import Actor, Operation
from service.application.audited import perform
from service.store import (
    Database,
    FileStore,
    FolderMark,
    NodeHold,
    NodeIdentity,
    Transaction,
    UnfinishedJob,
    hold_back,
    read_hold,
    require_recorded,
    unfinished_jobs,
)


@dataclass(frozen=True, kw_only=True)
class RecoveryQuestion:
    """Why the node is held, the jobs that may have been delivered before, and those that arrived since."""

    hold: NodeHold
    uncertain: Sequence[UnfinishedJob]
    new: Sequence[UnfinishedJob]


def recovery_question(database: Database, files: FileStore, actor: Actor) -> RecoveryQuestion | None:
    """Return what has to be decided; None if the node is not held."""
    return perform(
        database, actor, Operation.RECOVERY, None, lambda transaction: _question(transaction, files)
    )


def decide_recovery(
    database: Database, files: FileStore, identity: NodeIdentity, actor: Actor, *, delivers: bool
) -> RecoveryQuestion:
    """Release the node, and return what the decision applied to.

    Args:
        database: the node's.
        files: its storage folder: files written since the hold began are new.
        identity: the identity of both.
        actor: recorded with the decision.
        delivers: True: contour and deliver everything, so that a destination may get an object again, under the same
            UID. False: cancel what may have been delivered before; `retry` restarts a single job.

    Raises:
        NotAllowed: the node is not held, or its files are not recorded yet.
    """

    def act(transaction: Transaction) -> tuple[RecoveryQuestion, FolderMark]:
        require_recorded(transaction)
        question = _question(transaction, files)
        if question is None:
            raise AssertionError("a hold that was there a moment ago")
        if not delivers:
            hold_back(database, transaction, [one.id for one in question.uncertain])
        return question, identity.release(transaction)

    word = "deliver" if delivers else "hold"
    decided, mark = perform(database, actor, Operation.RECOVER, None, act, detail=word)
    identity.write(mark)
    return decided


def _question(transaction: Transaction, files: FileStore) -> RecoveryQuestion | None:
    hold = read_hold(transaction)
    if hold is None:
        return None
    jobs = unfinished_jobs(transaction)
    new = {one.id for one in jobs if _came_since(files, one, hold.since)}
    return RecoveryQuestion(
        hold=hold,
        uncertain=[one for one in jobs if one.id not in new],
        new=[one for one in jobs if one.id in new],
    )


def _came_since(files: FileStore, job: UnfinishedJob, since: datetime) -> bool:
    """Tell whether an image of the job was written since the hold began, by the time of its file."""
    return any(written >= since for path in job.paths if (written := files.written_at(path)) is not None)
