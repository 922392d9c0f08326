"""The list of all jobs: what needs a person, what is under way, what is done."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from service.application import Operation, search_jobs
from service.store import JobFilter, JobState, ListedJob
from service.web.access import Visitor, parts_of, permits
from service.web.live import TooManyListeners
from service.web.rendering import page
from service.web.words import patient_label

if TYPE_CHECKING:
    from service.web.bulk_orders import BulkOutcome

router = APIRouter(include_in_schema=False)
Searcher = Annotated[Visitor, Depends(permits(Operation.JOBS))]
ROWS = 50
MOST_ROWS = 500
"""On a page of somebody who wants to act on all that a filter finds."""
GROUPS: dict[str, tuple[JobState, ...]] = {
    "attention": (JobState.FAILED, JobState.REFUSED),
    "waiting": (JobState.WAITING, JobState.RETRYING),
    "under-way": (JobState.RECEIVING, JobState.QUEUED, JobState.RUNNING, JobState.DELIVERING),
    "done": (JobState.DONE,),
    "other": (JobState.NOTHING_TO_CONTOUR, JobState.CANCELLED, JobState.SUPERSEDED),
}
DAYS = {"": None, "today": 1, "week": 7, "month": 31}


class WorkQuery(BaseModel):
    """What the address of a list says; it contains every filter, so that it can be shared."""

    q: str = Field(default="", max_length=200)
    group: str = Field(default="", max_length=20)
    rule: str = Field(default="", max_length=64)
    since: str = Field(default="", max_length=10)
    before: int | None = Field(default=None, ge=1)
    rows: int = Field(default=ROWS, ge=1, le=MOST_ROWS)

    @classmethod
    def of(cls, address: str) -> Self:
        """Return what the query of an address says; what is not a filter is left out."""
        return cls.model_validate(dict(parse_qsl(address)))

    @property
    def filters(self) -> dict[str, str]:
        """The filters, without the position in the list."""
        return {"q": self.q, "group": self.group, "rule": self.rule, "since": self.since}

    @property
    def address(self) -> str:
        """The query of this page's address."""
        before = {} if self.before is None else {"before": str(self.before)}
        rows = {} if self.rows == ROWS else {"rows": str(self.rows)}
        return urlencode({**self.filters, **before, **rows})

    @property
    def is_whole(self) -> bool:
        """Whether this is the first page of the list without a filter."""
        return self.before is None and not any(self.filters.values())

    def wanted(self, now: datetime) -> JobFilter:
        """Return the filter; it asks for one row more than a page shows, to learn whether there are more."""
        days = DAYS.get(self.since)
        return JobFilter(
            states=GROUPS.get(self.group, ()),
            rule=self.rule,
            text=self.q,
            since=None if days is None else now - timedelta(days=days),
            before_id=self.before,
            limit=self.rows + 1,
        )


@router.get("/")
def work(request: Request, visitor: Searcher, query: Annotated[WorkQuery, Query()]) -> Response:
    """Show the list, newest first; a search that finds one job by its number leads to that job."""
    found = _search(request, visitor, query)
    if query.q.strip().isdigit() and len(found) == 1:
        return RedirectResponse(f"/jobs/{found[0].status.id}", 303)
    return page(request, "work.html", visitor, outcome=None, **_values(request, visitor, query, found))


def show_work(request: Request, visitor: Visitor, query: WorkQuery, outcome: "BulkOutcome") -> Response:
    """Show the list with the outcome of an order about many of its jobs."""
    parts_of(request).live.recount()
    found = _search(request, visitor, query)
    return page(request, "work.html", visitor, outcome=outcome, **_values(request, visitor, query, found))


@router.get("/work/list")
def work_list(request: Request, visitor: Searcher, query: Annotated[WorkQuery, Query()]) -> Response:
    """Show only the rows, for a page that is open already."""
    found = _search(request, visitor, query)
    return page(request, "work_list.html", visitor, **_values(request, visitor, query, found))


def _search(request: Request, visitor: Visitor, query: WorkQuery) -> list[ListedJob]:
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor, "work"))
    return search_jobs(
        parts.database, visitor.actor, query.wanted(parts.database.clock()), is_recorded=is_recorded
    )


def _values(request: Request, visitor: Visitor, query: WorkQuery, found: list[ListedJob]) -> dict[str, Any]:
    parts = parts_of(request)
    urgent = parts.lists.needing_a_person(limit=ROWS) if query.is_whole else []
    listed = {one.status.id for one in urgent}
    rows = urgent + [one for one in found[: query.rows] if one.status.id not in listed]
    older = (
        query.model_copy(update={"before": found[query.rows - 1].status.id})
        if len(found) > query.rows
        else None
    )
    return {
        "rows": [(one, patient_label(one.series, sees_patients=visitor.actor.sees_patients)) for one in rows],
        "query": query,
        "older": None if older is None else older.address,
        "most_rows": MOST_ROWS,
        "counts": {
            name: sum(parts.live.counts.get(state, 0) for state in states) for name, states in GROUPS.items()
        },
        "rules": [one.name for one in parts.ruled.rules],
        "port": parts.settings.receive.port,
        "host": parts.settings.receive.host,
    }


@router.get("/stream", dependencies=[Depends(permits(Operation.JOBS))])
async def stream(request: Request) -> Response:
    """Send the numbers of jobs that change, as server-sent events, until the browser leaves or the node stops."""
    changes = parts_of(request).live.changes()
    try:
        first = await anext(changes)
    except TooManyListeners:
        return PlainTextResponse("too many pages are open", 503, headers={"Retry-After": "30"})

    async def messages() -> AsyncIterator[str]:
        try:
            yield first
            async for message in changes:
                if await request.is_disconnected():
                    return
                yield message
        except asyncio.CancelledError:  # the browser left
            return
        finally:
            await changes.aclose()  # type: ignore[attr-defined] # an asynchronous generator

    return StreamingResponse(messages(), media_type="text/event-stream")
