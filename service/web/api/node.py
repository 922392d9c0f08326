"""The node for programs: series, destinations, models, health, and this interface's own description."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from service.application import Operation, list_series
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import (
    PROBLEMS,
    CheckFacing,
    DestinationFacing,
    EchoFacing,
    ModelFacing,
    NameText,
    Printable,
    SeriesFacing,
)
from service.web.backlogs import ask_by_echo, backlogs_of

router = APIRouter(prefix="/api/v1", tags=["node"], responses=PROBLEMS)
LOOKING = [Depends(permits(Operation.SHOW))]
Listing = Annotated[Visitor, Depends(permits(Operation.JOBS))]
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
) -> list[SeriesFacing]:
    """Give what series say of themselves, by their exact UIDs, patient ID or accession number; at most 200."""
    parts = parts_of(request)
    asked = {
        "series_uid": series_uid,
        "study_uid": study_uid,
        "patient_id": patient_id,
        "accession_number": accession_number,
    }
    found = list_series(parts.database, visitor.actor, {name: text for name, text in asked.items() if text})
    return [SeriesFacing.of(one, visitor.actor) for one in found]


@router.get("/destinations", dependencies=LOOKING)
def destinations(request: Request) -> list[DestinationFacing]:
    """Give the destinations, and what stands for each."""
    return [
        DestinationFacing(
            name=one.name,
            address=one.address,
            under_way={state.state.value: state.count for state in one.states},
            last_words=one.last_words,
        )
        for one in backlogs_of(parts_of(request))
    ]


@router.post("/destinations/{name}/echo")
def echo(request: Request, visitor: Echoing, name: NameText) -> EchoFacing:
    """Ask a destination by C-ECHO whether it answers; takes up to 10 s."""
    answer = ask_by_echo(parts_of(request), visitor.actor, name)
    return EchoFacing(
        destination=name, answered=answer.ok, reason=answer.reason, duration_s=round(answer.duration_s, 3)
    )


@router.get("/models", dependencies=LOOKING)
def models(request: Request) -> list[ModelFacing]:
    """Give the models that can contour, each in its default version."""
    parts = parts_of(request)
    return [
        ModelFacing(
            name=model.name,
            version=model.version,
            description=model.description,
            licence=model.licence,
            structures=[one.code for one in model.structures],
            rules=[rule.name for rule in parts.settings.rules if rule.model == model.name],
        )
        for model in parts.models.values()
    ]


@router.get("/health", dependencies=LOOKING)
def health(request: Request) -> list[CheckFacing]:
    """Give the checks of the node, a few seconds old at most."""
    parts = parts_of(request)
    status = parts.status_shelf.get("status", parts.look_at_node)
    return [
        CheckFacing(name=one.name, ok=one.ok, is_needed=one.needed, reason=one.reason)
        for one in status.checks
    ]


@router.get("/openapi.json", dependencies=LOOKING, response_model=dict[str, Any])
def openapi(request: Request) -> Response:
    """Give the description of this interface (OpenAPI 3.1)."""
    return JSONResponse(request.app.openapi())
