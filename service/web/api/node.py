"""The node for programs: series, destinations, models, health, the audit trail, and the description of the API."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from service.application import Operation, list_series, read_trail
from service.store import TrailQuery
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import (
    PROBLEMS,
    NameText,
    Printable,
    ShownCheck,
    ShownDestination,
    ShownEcho,
    ShownModel,
    ShownSeries,
    ShownTrail,
    TrailPage,
    name_next_page,
)
from service.web.backlogs import ask_by_echo, backlogs_of

router = APIRouter(prefix="/api/v1", tags=["node"], responses=PROBLEMS)
LOOKING = [Depends(permits(Operation.SHOW))]
Listing = Annotated[Visitor, Depends(permits(Operation.JOBS))]
Auditing = Annotated[Visitor, Depends(permits(Operation.AUDIT))]
Echoing = Annotated[Visitor, Depends(permits(Operation.ECHO))]


@router.get("/series")
def series(
    request: Request,
    visitor: Listing,
    series_uid: Annotated[Printable, Query(max_length=64)] = "",
    study_uid: Annotated[Printable, Query(max_length=64)] = "",
    patient_id: Annotated[
        Printable, Query(max_length=64, description="Needs the right to see patients.")
    ] = "",
    accession_number: Annotated[
        Printable, Query(max_length=64, description="Needs the right to see patients.")
    ] = "",
) -> list[ShownSeries]:
    """Return what series say of themselves, by exact UIDs, patient ID or accession number; at most 200."""
    parts = parts_of(request)
    asked = {
        "series_uid": series_uid,
        "study_uid": study_uid,
        "patient_id": patient_id,
        "accession_number": accession_number,
    }
    found = list_series(parts.database, visitor.actor, {name: text for name, text in asked.items() if text})
    return [ShownSeries.of(one, visitor.actor) for one in found]


@router.get("/destinations", dependencies=LOOKING)
def destinations(request: Request) -> list[ShownDestination]:
    """Return the destinations, and what is to be delivered to each."""
    return [
        ShownDestination(
            name=one.name,
            address=one.address,
            under_way={state.state.value: state.count for state in one.states},
            last_words=one.last_words,
        )
        for one in backlogs_of(parts_of(request))
    ]


@router.post("/destinations/{name}/echo")
def echo(request: Request, visitor: Echoing, name: NameText) -> ShownEcho:
    """Ask a destination by C-ECHO whether it answers; takes up to 10 s."""
    answer = ask_by_echo(parts_of(request), visitor.actor, name)
    return ShownEcho(
        destination=name, answered=answer.ok, reason=answer.reason, duration_s=round(answer.duration_s, 3)
    )


@router.get("/models", dependencies=LOOKING)
def models(request: Request) -> list[ShownModel]:
    """Return the models that can contour, each in its default version."""
    parts = parts_of(request)
    rules = parts.ruled.rules
    return [
        ShownModel(
            name=model.name,
            version=model.version,
            description=model.description,
            licence=model.licence,
            structures=[one.code for one in model.structures],
            rules=[rule.name for rule in rules if rule.model == model.name],
        )
        for model in parts.models.values()
    ]


@router.get("/health", dependencies=LOOKING)
def health(request: Request) -> list[ShownCheck]:
    """Return the checks of the node, at most a few seconds old."""
    parts = parts_of(request)
    status = parts.status_shelf.get("status", parts.look_at_node)
    return [
        ShownCheck(name=one.name, ok=one.ok, is_needed=one.needed, reason=one.reason) for one in status.checks
    ]


@router.get("/openapi.json", dependencies=LOOKING, response_model=dict[str, Any])
def openapi(request: Request) -> Response:
    """Return the description of this API (OpenAPI 3.1)."""
    return JSONResponse(request.app.openapi())


@router.get("/audit")
def audit(
    request: Request, response: Response, visitor: Auditing, query: Annotated[TrailPage, Query()]
) -> list[ShownTrail]:
    """Return the audit trail, newest first; the header Link names the next page if there is one."""
    wanted = TrailQuery(
        before_id=query.before_id, actor=query.actor or None, job_id=query.job, limit=query.limit + 1
    )
    found = read_trail(parts_of(request).database, visitor.actor, wanted)[::-1]
    if len(found) > query.limit:
        name_next_page(request, response, found[query.limit - 1].id)
    return [ShownTrail.of(entry) for entry in found[: query.limit]]
