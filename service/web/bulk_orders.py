"""Orders about many jobs of the work list at once, carried out job by job, and the orders that undo them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from service.application import (
    Actor,
    Operation,
    cancel_job,
    prioritise_job,
    require_permission,
    resend_job,
    retry_job,
)
from service.errors import Refused
from service.store import read_deliveries
from service.web.access import Visitor, parts_of, permits
from service.web.parts import WebParts
from service.web.translation import _, ngettext
from service.web.work_page import MOST_ROWS, ROWS, WorkQuery, show_work

router = APIRouter(prefix="/work", include_in_schema=False)
Ordering = Annotated[Visitor, Depends(permits(Operation.RETRY))]
MOST_JOBS = MOST_ROWS + ROWS  # the first page shows those that need a person beside the newest
MOST_REASONS = 5
URGENT, USUAL = 90, 50
UNDO_LASTS_S = 10


class BulkOrder(StrEnum):
    """What can be done to many jobs at once."""

    RETRY = "retry"
    CANCEL = "cancel"
    RESEND = "resend"
    URGENT = "urgent"
    RETRY_CANCELLED = "retry cancelled"  # undoes CANCEL
    USUAL = "usual"  # undoes URGENT


NEEDS = {
    BulkOrder.RETRY: Operation.RETRY,
    BulkOrder.CANCEL: Operation.CANCEL,
    BulkOrder.RESEND: Operation.RESEND,
    BulkOrder.URGENT: Operation.PRIORITY,
    BulkOrder.RETRY_CANCELLED: Operation.RETRY,
    BulkOrder.USUAL: Operation.PRIORITY,
}


DONE: Mapping[BulkOrder, Callable[[int], str]] = {
    BulkOrder.RETRY: lambda count: ngettext("%(count)s job retried", "%(count)s jobs retried", count),
    BulkOrder.CANCEL: lambda count: ngettext("%(count)s job cancelled", "%(count)s jobs cancelled", count),
    BulkOrder.RESEND: lambda count: ngettext(
        "%(count)s job queued to be sent again", "%(count)s jobs queued to be sent again", count
    ),
    BulkOrder.URGENT: lambda count: ngettext(
        "%(count)s job will run first (priority %(priority)s)",
        "%(count)s jobs will run first (priority %(priority)s)",
        count,
        priority=URGENT,
    ),
    BulkOrder.RETRY_CANCELLED: lambda count: ngettext(
        "%(count)s job resumed", "%(count)s jobs resumed", count
    ),
    BulkOrder.USUAL: lambda count: ngettext(
        "%(count)s job back at its previous priority",
        "%(count)s jobs back at their previous priorities",
        count,
    ),
}
UNDONE_BY = {BulkOrder.CANCEL: BulkOrder.RETRY_CANCELLED, BulkOrder.URGENT: BulkOrder.USUAL}


@dataclass(kw_only=True)
class BulkOutcome:
    """What became of an order about many jobs."""

    order: BulkOrder
    done: list[str] = field(
        default_factory=list
    )  # the jobs' numbers, in the form in which the order that undoes it takes them
    refused: list[str] = field(default_factory=list)

    @property
    def undone_by(self) -> BulkOrder | None:
        """The order that undoes this one; None if nothing does."""
        return UNDONE_BY.get(self.order) if self.done else None

    @property
    def words(self) -> str:
        """What was done, and the first reasons why some of it was not."""
        parts = [DONE[self.order](len(self.done))]
        if self.refused:
            more = len(self.refused) - MOST_REASONS
            reasons = "; ".join(self.refused[:MOST_REASONS]) + (
                _("; and %(count)s more", count=more) if more > 0 else ""
            )
            parts.append(_("%(count)s not done: %(reasons)s", count=len(self.refused), reasons=reasons))
        return ". ".join(parts)

    @property
    def undo_lasts_s(self) -> int:
        """How long the page offers to undo the order, in seconds."""
        return UNDO_LASTS_S


@router.post("/orders")
def order_many(
    request: Request,
    visitor: Ordering,
    order: Annotated[BulkOrder, Form()],
    query: Annotated[str, Form(max_length=1000)] = "",
    jobs: Annotated[list[str] | None, Form(max_length=MOST_JOBS)] = None,
) -> Response:
    """Apply an order to the marked jobs, and show the list that it came from with the outcome.

    A job is given by its number or, if its old priority is to be restored, by number and priority: "17:50".
    """
    require_permission(visitor.actor, NEEDS[order])
    outcome = BulkOutcome(order=order)
    act = _acts(parts_of(request), visitor.actor)[order]
    for number, value in _numbers(jobs or []):
        try:
            outcome.done.append(act(number, value))
        except Refused as reason:
            outcome.refused.append(str(reason))
    return show_work(request, visitor, WorkQuery.of(query), outcome)


def _numbers(jobs: Sequence[str]) -> list[tuple[int, int]]:
    found = []
    for one in dict.fromkeys(jobs):
        number, _, value = one.partition(":")
        if not (_is_number(number) and _is_number(value or "0")):
            raise Refused(f"{one!r} is not the number of a job")
        found.append((int(number), int(value or USUAL)))
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _acts(parts: WebParts, actor: Actor) -> dict[BulkOrder, Callable[[int, int], str]]:
    """Return a function per order that applies it to one job and returns the job as the undoing order takes it."""

    def retry(number: int, _: int) -> str:
        retry_job(parts.database, actor, number)
        return str(number)

    def cancel(number: int, _: int) -> str:
        cancel_job(parts.database, actor, number, reason=f"cancelled by {actor.name}")
        return str(number)

    def resend(number: int, _: int) -> str:
        with parts.database.reading() as connection:
            deliveries = read_deliveries(connection, number)
        names = dict.fromkeys(one.destination for one in deliveries if one.sent_at is not None)
        if not names:
            raise Refused(f"nothing has been sent for job {number} yet")
        for name in names:
            resend_job(parts.database, actor, number, name, parts.ruled)
        return str(number)

    def prioritise(number: int, priority: int) -> str:
        before = prioritise_job(parts.database, actor, number, priority)
        return f"{number}:{before}"

    return {
        BulkOrder.RETRY: retry,
        BulkOrder.CANCEL: cancel,
        BulkOrder.RESEND: resend,
        BulkOrder.URGENT: lambda number, _: prioritise(number, URGENT),
        BulkOrder.RETRY_CANCELLED: retry,
        BulkOrder.USUAL: prioritise,
    }
