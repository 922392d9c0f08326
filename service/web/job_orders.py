"""The orders that a person gives about one job on its page; each names the newest event that the page showed."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from service.application import (
    cancel_job,
    checked_wanted,
    prioritise_job,
    rerun_job,
    resend_job,
    retry_job,
)
from service.errors import Refused
from service.store import Wanted
from service.web.access import (
    Cancelling,
    Prioritising,
    Rerunning,
    Resending,
    Retrying,
    parts_of,
)
from service.web.api.shapes import JobNumber

router = APIRouter(prefix="/jobs/{number}", include_in_schema=False)
Seen = Annotated[int | None, Form()]
"""Number of the newest event of the job that the page showed; absent: carry out the order whatever has happened."""
Word = Annotated[str, Form(max_length=64)]


@router.post("/retry")
def retry(request: Request, visitor: Retrying, number: JobNumber, seen: Seen = None) -> Response:
    """Give a job another chance."""
    retry_job(parts_of(request).database, visitor.actor, number, seen=seen)
    return _back(number)


@router.post("/rerun")
def rerun(
    request: Request,
    visitor: Rerunning,
    number: JobNumber,
    seen: Seen = None,
    rule: Word = "",
    model: Annotated[str, Form(max_length=80)] = "",
) -> Response:
    """Contour a job's images again, as a new version; `model` is a name, or name and version: "hn_oar 2"."""
    parts = parts_of(request)
    name, _, version = model.partition(" ")
    if version and not version.isdigit():
        raise Refused(f"{version} is not a model version")
    wanted = Wanted(rule=rule, model=name, model_version=int(version) if version else None)
    checked_wanted(parts.ruled, parts.models, wanted)
    return _back(rerun_job(parts.database, visitor.actor, number, wanted, seen=seen))


@router.post("/cancel")
def cancel(request: Request, visitor: Cancelling, number: JobNumber, seen: Seen = None) -> Response:
    """Stop a job."""
    reason = f"cancelled by {visitor.actor.name}"
    cancel_job(parts_of(request).database, visitor.actor, number, reason=reason, seen=seen)
    return _back(number)


@router.post("/priority")
def priority(
    request: Request,
    visitor: Prioritising,
    number: JobNumber,
    priority: Annotated[int, Form()],
    seen: Seen = None,
) -> Response:
    """Change a job's priority: what runs and is delivered first."""
    prioritise_job(parts_of(request).database, visitor.actor, number, priority, seen=seen)
    return _back(number)


@router.post("/resend")
def resend(
    request: Request, visitor: Resending, number: JobNumber, destination: Word, seen: Seen = None
) -> Response:
    """Send what was made for a job to a destination once more."""
    parts = parts_of(request)
    resend_job(parts.database, visitor.actor, number, destination, parts.ruled, seen=seen)
    return _back(number)


def _back(number: int) -> Response:
    return RedirectResponse(f"/jobs/{number}", 303)
