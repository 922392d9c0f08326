"""One job: what happened, why, what to do, what was found; and the orders that a person can give."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from service.application import (
    JobDetails,
    Operation,
    cancel_job,
    rerun_job,
    retry_job,
    show_events,
    show_job,
)
from service.errors import Refused
from service.store import CANCELLABLE, RERUNNABLE, RETRYABLE, JobEvent, JobState
from service.web.access import Visitor, parts_of, permits
from service.web.images import ImagesGone
from service.web.parts import WebParts
from service.web.rendering import page
from service.web.slice_strip import SliceStrip
from service.web.timeline import stages_of
from service.web.words import advice_for, patient_label

router = APIRouter(prefix="/jobs", include_in_schema=False)
Viewing = Annotated[Visitor, Depends(permits(Operation.SHOW))]
Retrying = Annotated[Visitor, Depends(permits(Operation.RETRY))]
Rerunning = Annotated[Visitor, Depends(permits(Operation.RERUN))]
Cancelling = Annotated[Visitor, Depends(permits(Operation.CANCEL))]


@router.get("/{number}")
def job(request: Request, visitor: Viewing, number: int) -> Response:
    """Show one job."""
    return page(request, "job.html", visitor, **_values(request, visitor, number))


@router.get("/{number}/state")
def job_state(request: Request, visitor: Viewing, number: int) -> Response:
    """Show what of a job changes, for a page that is open already."""
    return page(request, "job_state.html", visitor, **_values(request, visitor, number))


def _values(request: Request, visitor: Visitor, number: int) -> dict[str, Any]:
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor.name, "job", number))
    found = show_job(parts.database, visitor.actor, number, is_recorded=is_recorded)
    events = show_events(parts.database, visitor.actor, number, is_recorded=False)
    status = found.status
    return {
        "job": status,
        "series": found.series,
        "label": patient_label(found.series, sees_patients=visitor.actor.sees_patients),
        "deliveries": found.deliveries,
        "structures": found.structures,
        "stages": stages_of(events, datetime.now(UTC)),
        "events": events,
        "advice": advice_for(status),
        "versions": parts.lists.versions(status),
        "strip": _strip(parts, found),
        "can_retry": status.state in RETRYABLE and status.superseded_by is None,
        "can_rerun": status.state in RERUNNABLE and status.superseded_by is None,
        "can_cancel": status.state in CANCELLABLE,
        "has_result": status.state in (JobState.DONE, JobState.DELIVERING, JobState.FAILED)
        and status.finished_at is not None,
        "last_event": events[-1].id if events else 0,
    }


def _strip(parts: WebParts, found: JobDetails) -> SliceStrip | None:
    """Return the places of the job's slices; None where its images are gone or cannot be read."""
    try:
        return parts.images.strip(found.status.id)
    except ImagesGone:
        return None


@router.post("/{number}/retry")
def retry(
    request: Request, visitor: Retrying, number: int, seen: Annotated[int | None, Form()] = None
) -> Response:
    """Give a job another chance."""
    _check_fresh(request, visitor, number, seen)
    retry_job(parts_of(request).database, visitor.actor, number)
    return RedirectResponse(f"/jobs/{number}", 303)


@router.post("/{number}/rerun")
def rerun(
    request: Request, visitor: Rerunning, number: int, seen: Annotated[int | None, Form()] = None
) -> Response:
    """Contour a job's images again, as a new version."""
    _check_fresh(request, visitor, number, seen)
    new = rerun_job(parts_of(request).database, visitor.actor, number)
    return RedirectResponse(f"/jobs/{new}", 303)


@router.post("/{number}/cancel")
def cancel(
    request: Request, visitor: Cancelling, number: int, seen: Annotated[int | None, Form()] = None
) -> Response:
    """Stop a job."""
    _check_fresh(request, visitor, number, seen)
    cancel_job(parts_of(request).database, visitor.actor, number, reason=f"cancelled by {visitor.actor.name}")
    return RedirectResponse(f"/jobs/{number}", 303)


class StalePage(Refused):
    """The job changed since the page that the order came from was made."""


def _check_fresh(request: Request, visitor: Visitor, number: int, seen: int | None) -> None:
    """Return if nothing happened to the job since the page was made.

    Args:
        request: the order.
        visitor: who gives it.
        number: the job's.
        seen: number of the newest event of the job that the page showed; None: the order is given all the same.

    Raises:
        StalePage: something happened.
    """
    if seen is None:
        return
    events = show_events(parts_of(request).database, visitor.actor, number, is_recorded=False)
    newest: JobEvent | None = events[-1] if events else None
    if newest is not None and newest.id != seen:
        raise StalePage(
            f"job {number} changed while the page was open: it is {newest.to_state.value} now. Look again, then decide."
        )
