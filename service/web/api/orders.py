"""Orders of programs about one job.

An order with the job's ETag in `If-Match` is refused if something has happened since. With an `Idempotency-Key`, an
order that is sent twice within a day is carried out once: the second request gets the answer to the first.
"""

import hashlib
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import JSONResponse, Response

from service.application import (
    cancel_job,
    checked_wanted,
    prioritise_job,
    rerun_job,
    resend_job,
    retry_job,
)
from service.errors import Refused
from service.store import JobRepository, NotAllowed, Wanted
from service.store.web.kept_answers import KeptAnswers
from service.web.access import (
    Cancelling,
    Prioritising,
    Rerunning,
    Resending,
    Retrying,
    Visitor,
    parts_of,
)
from service.web.api.shapes import (
    PROBLEMS,
    CancelOrder,
    JobNumber,
    Ordered,
    Printable,
    PriorityOrder,
    RerunOrder,
    ResendOrder,
)

router = APIRouter(prefix="/api/v1/jobs/{number}", tags=["orders"], responses=PROBLEMS)
TAG = r'^(\*|"[a-z_]+-[0-9]{1,15}")$'


class OrderHeaders:
    """The headers of an order: the last event that the program had seen, and the key of the order."""

    def __init__(
        self,
        request: Request,
        if_match: Annotated[str | None, Header(pattern=TAG, description="The job's ETag.")] = None,
        idempotency_key: Annotated[Printable | None, Header(min_length=1, max_length=128)] = None,
    ) -> None:
        """Read the headers."""
        self.key = idempotency_key
        self.path = request.url.path
        is_any = if_match is None or if_match == "*"
        self.seen = None if is_any else int(str(if_match).strip('"').rpartition("-")[2])


Headers = Annotated[OrderHeaders, Depends()]
AS_THE_RULES = RerunOrder()
BY_HAND = CancelOrder()


@router.post("/retry")
def retry(request: Request, visitor: Retrying, number: JobNumber, headers: Headers) -> Ordered:
    """Give a job another chance."""

    def act() -> Ordered:
        state = retry_job(parts_of(request).database, visitor.actor, number, seen=headers.seen)
        return Ordered(job=number, state=state)

    return _once(request, visitor, headers, "", act)


@router.post("/rerun", status_code=201)
def rerun(
    request: Request,
    visitor: Rerunning,
    number: JobNumber,
    headers: Headers,
    order: RerunOrder = AS_THE_RULES,
) -> Ordered:
    """Contour a job's images again as a new job, which the header Location names."""
    parts = parts_of(request)

    def act() -> Ordered:
        wanted = Wanted(**order.model_dump())
        checked_wanted(parts.ruled, parts.models, wanted)
        return _as_it_is(request, rerun_job(parts.database, visitor.actor, number, wanted, seen=headers.seen))

    return _once(request, visitor, headers, order.model_dump_json(), act, status=201)


@router.post("/cancel")
def cancel(
    request: Request, visitor: Cancelling, number: JobNumber, headers: Headers, order: CancelOrder = BY_HAND
) -> Ordered:
    """Stop a job."""

    def act() -> Ordered:
        database = parts_of(request).database
        cancel_job(database, visitor.actor, number, reason=order.reason, seen=headers.seen)
        return _as_it_is(request, number)

    return _once(request, visitor, headers, order.model_dump_json(), act)


@router.post("/priority")
def priority(
    request: Request, visitor: Prioritising, number: JobNumber, headers: Headers, order: PriorityOrder
) -> Ordered:
    """Change a job's priority: what runs and is delivered first."""

    def act() -> Ordered:
        database = parts_of(request).database
        prioritise_job(database, visitor.actor, number, order.priority, seen=headers.seen)
        return _as_it_is(request, number)

    return _once(request, visitor, headers, order.model_dump_json(), act)


@router.post("/resend")
def resend(
    request: Request, visitor: Resending, number: JobNumber, headers: Headers, order: ResendOrder
) -> Ordered:
    """Send what was made for a job to a destination once more."""
    parts = parts_of(request)

    def act() -> Ordered:
        resend_job(parts.database, visitor.actor, number, order.destination, parts.ruled, seen=headers.seen)
        return _as_it_is(request, number)

    return _once(request, visitor, headers, order.model_dump_json(), act)


def _as_it_is(request: Request, number: int) -> Ordered:
    state = JobRepository(parts_of(request).database).job(number).state
    return Ordered(job=number, state=state)


def _once(
    request: Request,
    visitor: Visitor,
    headers: OrderHeaders,
    body: str,
    act: Callable[[], Ordered],
    *,
    status: int = 200,
) -> Ordered:
    """Carry out and answer an order; the same one with the same key gets the same answer and is not repeated.

    Raises:
        Refused: the key was used for another order.
        NotAllowed: the order with this key is being carried out, or was interrupted.
    """
    if headers.key is None:
        return _answer(act(), status)
    answers, actor = KeptAnswers(parts_of(request).database), visitor.actor.name
    asked = hashlib.sha256(f"{headers.path}\n{headers.seen}\n{body}".encode()).hexdigest()
    before = answers.begin(actor, headers.key, asked)
    if before is not None and before.request_sha256 != asked:
        raise Refused(f"the key {headers.key} was used for another order; give each order its own")
    if before is not None and before.status is None:
        raise NotAllowed(
            f"the order with key {headers.key} is being carried out, or was interrupted; look at the job"
        )
    if before is not None:
        return _answer(Ordered.model_validate_json(before.body), before.status or status)
    try:
        done = act()
    except Exception:
        answers.release(actor, headers.key)
        raise
    answers.keep(actor, headers.key, status=status, body=done.model_dump_json())
    return _answer(done, status)


def _answer(done: Ordered, status: int) -> Ordered:
    location = {"Location": f"/api/v1/jobs/{done.job}"} if status == 201 else {}
    answer: Response = JSONResponse(done.model_dump(mode="json"), status, location)
    return answer  # type: ignore[return-value] # FastAPI passes an answer on
