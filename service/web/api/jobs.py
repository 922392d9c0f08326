"""Jobs for programs: the list in pages, one job, its history and deliveries."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from service.application import Operation, search_jobs, show_events, show_job
from service.store import DeliveryStatus, JobEvent, JobFilter, ListedJob
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import (
    LARGEST,
    PROBLEMS,
    JobNumber,
    JobQuery,
    Limit,
    ShownJob,
    name_next_page,
)

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], responses=PROBLEMS)
Listing = Annotated[Visitor, Depends(permits(Operation.JOBS))]
Showing = Annotated[Visitor, Depends(permits(Operation.SHOW))]
Reading = Annotated[Visitor, Depends(permits(Operation.EVENTS))]


@router.get("")
def jobs(
    request: Request, response: Response, visitor: Listing, query: Annotated[JobQuery, Query()]
) -> list[ShownJob]:
    """Return jobs, newest first; the header Link names the next page if there is one."""
    parts = parts_of(request)
    limit = query.limit
    wanted = JobFilter(
        states=tuple(query.state), rule=query.rule, text=query.q, before_id=query.before_id, limit=limit + 1
    )
    is_recorded = parts.recent_looks.is_first((visitor.actor, "work"))
    found = search_jobs(parts.database, visitor.actor, wanted, is_recorded=is_recorded)
    if len(found) > limit:
        name_next_page(request, response, found[limit - 1].status.id)
    return [ShownJob.of(one, visitor.actor) for one in found[:limit]]


@router.get("/{number}", responses={304: {"description": "It is unchanged since the ETag of If-None-Match."}})
def job(request: Request, response: Response, visitor: Showing, number: JobNumber) -> ShownJob:
    """Return one job; its ETag names its state and newest event, for the If-Match of an order."""
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor, "job", number))
    found = show_job(parts.database, visitor.actor, number, is_recorded=is_recorded)
    events = show_events(parts.database, visitor.actor, number, is_recorded=False)
    tag = f'"{found.status.state.value}-{events[-1].id if events else 0}"'
    response.headers["ETag"] = tag
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})  # type: ignore[return-value] # FastAPI passes it on
    return ShownJob.of(ListedJob(status=found.status, series=found.series), visitor.actor)


@router.get("/{number}/events")
def events(
    request: Request,
    visitor: Reading,
    number: JobNumber,
    after_id: Annotated[int, Query(ge=0, le=LARGEST, description="Only events with a higher number.")] = 0,
    limit: Limit = 200,
) -> list[JobEvent]:
    """Return a job's history, oldest first."""
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor, "events", number))
    found = show_events(parts.database, visitor.actor, number, is_recorded=is_recorded)
    return [one for one in found if one.id > after_id][:limit]


@router.get("/{number}/deliveries")
def deliveries(request: Request, visitor: Showing, number: JobNumber) -> list[DeliveryStatus]:
    """Return the job's deliveries, by destination."""
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor, "job", number))
    return list(show_job(parts.database, visitor.actor, number, is_recorded=is_recorded).deliveries)
