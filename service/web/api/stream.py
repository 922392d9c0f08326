"""Events of jobs as they happen, as server-sent events that continue where a program stopped reading."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from service.application import Operation
from service.store import JobEvent
from service.web.access import parts_of, permits
from service.web.api.shapes import LARGEST, PROBLEMS
from service.web.live import TooManyListeners
from service.web.parts import WebParts

router = APIRouter(prefix="/api/v1", tags=["events"], responses=PROBLEMS)
A_BATCH = 500
_AS_JSON = TypeAdapter(JobEvent)


@router.get(
    "/events",
    dependencies=[Depends(permits(Operation.EVENTS))],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "One message per event."}},
)
async def events(
    request: Request,
    last_event_id: Annotated[
        int | None, Header(ge=0, le=LARGEST, description="Start after this event; absent: with the next one.")
    ] = None,
    job: Annotated[list[int] | None, Query(max_length=100, description="Only of these jobs.")] = None,
) -> Response:
    """Send each event of each job as it happens: id, event "job", and the event as JSON; a comment every 15 s."""
    parts = parts_of(request)
    signals = parts.live.changes()
    try:
        first = await anext(signals)
    except TooManyListeners:
        return PlainTextResponse(
            "too many programs and pages are listening", 503, headers={"Retry-After": "30"}
        )
    if last_event_id is None:
        last_event_id = await run_in_threadpool(parts.lists.newest_event)
    body = _messages(request, parts, signals, last_event_id, frozenset(job or ()))

    async def messages() -> AsyncIterator[str]:
        try:
            yield first
            async for message in body:
                yield message
        finally:
            await signals.aclose()  # type: ignore[attr-defined] # an asynchronous generator

    return StreamingResponse(messages(), media_type="text/event-stream")


async def _messages(
    request: Request, parts: WebParts, signals: AsyncIterator[str], last: int, jobs: frozenset[int]
) -> AsyncIterator[str]:
    while True:
        batch = await run_in_threadpool(parts.lists.events_after, last, A_BATCH)
        for event in batch:
            last = event.id
            if not jobs or event.job_id in jobs:
                yield f"id: {event.id}\nevent: job\ndata: {_AS_JSON.dump_json(event).decode()}\n\n"
        if len(batch) == A_BATCH:
            continue
        try:
            signal = await anext(signals)
        except StopAsyncIteration:
            return
        if await request.is_disconnected():
            return
        if signal.startswith(":"):
            yield signal
