"""The use cases of comparing a job's structure set with another: which there are, and the look, for the trail."""

from collections.abc import Callable
from typing import cast

from service.application.actors import Actor, Operation, require_permission
from service.application.audited import Result, perform
from service.errors import Refused
from service.store import Database, Transaction
from service.store.jobs.kept_sets import KeptSet, read_kept_sets

DETAIL = "compared with {}"


def list_kept_sets(database: Database, actor: Actor, job_id: int) -> list[KeptSet]:
    """Give the sets of the series and its study that a job's own may be compared with, the newest first.

    No patient is in them; the look that counts is the comparison's.

    Raises:
        NotPermitted: the actor may not view images.
        NoSuchJob: there is no such job.
    """
    require_permission(actor, Operation.VIEW_IMAGES)
    with database.reading() as connection:
        return read_kept_sets(connection, job_id)


def compare_job(
    database: Database, actor: Actor, job_id: int, second: str, compare: Callable[[], Result]
) -> Result:
    """Compare a job's structure set; the look, or why it was refused, is in the trail before the answer.

    Args:
        database: the node's.
        actor: who looks.
        job_id: the job's number.
        second: what the second set is, for the trail; without patient data.
        compare: compares them, which takes seconds: it runs outside of the transaction.

    Raises:
        NotPermitted: the actor may not view images.
        Refused: whatever compare() refuses.
    """
    require_permission(actor, Operation.VIEW_IMAGES)
    refused: Refused | None = None
    result: Result | None = None
    try:
        result = compare()
    except Refused as reason:
        refused = reason

    def look(_: Transaction) -> Result:
        if refused is not None:
            raise refused
        return cast(Result, result)

    return perform(database, actor, Operation.VIEW_IMAGES, job_id, look, detail=DETAIL.format(second))
