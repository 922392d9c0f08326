"""One job: what happened, why, what to do, what was found, and the orders that are possible."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service.application import HIGHEST_PRIORITY, JobDetails, Operation, show_events, show_job
from service.store import CANCELLABLE, RERUNNABLE, RETRYABLE, JobState
from service.store.states import PRIORITISABLE, RESENDABLE
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import JobNumber
from service.web.images import ImagesGone
from service.web.parts import WebParts
from service.web.rendering import page
from service.web.slice_strip import SliceStrip
from service.web.timeline import stages_of
from service.web.words import advice_for, patient_label

router = APIRouter(prefix="/jobs", include_in_schema=False)
Viewing = Annotated[Visitor, Depends(permits(Operation.SHOW))]


@router.get("/{number}")
def job(request: Request, visitor: Viewing, number: JobNumber) -> Response:
    """Show one job."""
    return page(request, "job.html", visitor, **_values(request, visitor, number))


@router.get("/{number}/state")
def job_state(request: Request, visitor: Viewing, number: JobNumber) -> Response:
    """Show the parts of a job that change, for a page that is open already."""
    return page(request, "job_state.html", visitor, **_values(request, visitor, number))


def _values(request: Request, visitor: Visitor, number: int) -> dict[str, Any]:
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor, "job", number))
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
        "can_prioritise": status.state in PRIORITISABLE and status.superseded_by is None,
        "can_resend": status.state in RESENDABLE and status.superseded_by is None and bool(found.deliveries),
        "destinations": parts.ruled.destination_names,
        "highest_priority": HIGHEST_PRIORITY,
        "rules": parts.ruled.deciding_rules,
        "models": list(parts.models.values()),
        "has_result": status.state in (JobState.DONE, JobState.DELIVERING, JobState.FAILED)
        and status.finished_at is not None,
        "last_event": events[-1].id if events else 0,
    }


def _strip(parts: WebParts, found: JobDetails) -> SliceStrip | None:
    """Return the places of the job's slices; None if there are fewer than two, or images are gone or damaged."""
    try:
        return parts.images.strip(found.status.id)
    except ImagesGone:
        return None
