"""Destinations, models, the node itself, and the audit trail."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from service.application import Operation, record_action, send_now_to
from service.store import TrailQuery, read_entries
from service.web.access import Visitor, parts_of, permits
from service.web.backlogs import ask_by_echo, backlogs_of
from service.web.rendering import page

router = APIRouter(include_in_schema=False)
Viewing = Annotated[Visitor, Depends(permits(Operation.SHOW))]
Echoing = Annotated[Visitor, Depends(permits(Operation.ECHO))]
Sending = Annotated[Visitor, Depends(permits(Operation.SEND_NOW))]
Auditing = Annotated[Visitor, Depends(permits(Operation.AUDIT))]
AUDIT_ROWS = 100


@router.get("/destinations")
def destinations(request: Request, visitor: Viewing) -> Response:
    """Show the destinations: what is to be delivered to each, and the last reason for not taking something."""
    return page(request, "destinations.html", visitor, backlogs=backlogs_of(parts_of(request)))


@router.post("/destinations/{name}/echo")
def echo(request: Request, visitor: Echoing, name: str) -> Response:
    """Ask a destination by C-ECHO whether it answers."""
    answer = ask_by_echo(parts_of(request), visitor.actor, name)
    return page(request, "echo.html", visitor, name=name, answer=answer)


@router.post("/destinations/{name}/send-now")
def send_now(request: Request, visitor: Sending, name: str) -> Response:
    """Send now what waits for a destination, and show the destinations again."""
    parts = parts_of(request)
    send_now_to(parts.database, visitor.actor, name, parts.ruled)
    return RedirectResponse("/destinations", 303)


@router.get("/models")
def models(request: Request, visitor: Viewing) -> Response:
    """Show the models: versions, structures, licence, and the rules that use them."""
    parts = parts_of(request)
    rules = parts.ruled.rules
    used = {name: [rule.name for rule in rules if rule.model == name] for name in parts.models}
    return page(request, "models.html", visitor, models=list(parts.models.values()), used=used)


@router.get("/node")
def node(request: Request, visitor: Viewing) -> Response:
    """Show the node's health: the same checks as `contour-node health`."""
    parts = parts_of(request)
    status = parts.status_shelf.get("status", parts.look_at_node)
    return page(
        request, "node.html", visitor, status=status, counts=parts.live.counts, settings=parts.settings
    )


@router.get("/audit")
def audit(
    request: Request,
    visitor: Auditing,
    before: Annotated[int | None, Query(ge=1)] = None,
    actor: Annotated[str, Query(max_length=128)] = "",
    job: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """Show the audit trail, newest first; looking at it adds an entry too."""
    parts = parts_of(request)
    if parts.recent_looks.is_first((visitor.actor, "audit")):
        record_action(parts.database, visitor.actor, Operation.AUDIT)
    which = TrailQuery(before_id=before, actor=actor or None, job_id=job, limit=AUDIT_ROWS + 1)
    with parts.database.reading() as connection:
        found = read_entries(connection, which)[::-1]
    return page(
        request,
        "audit.html",
        visitor,
        entries=found[:AUDIT_ROWS],
        older=found[AUDIT_ROWS - 1].id if len(found) > AUDIT_ROWS else None,
        filters={"actor": actor, "job": job or ""},
    )
