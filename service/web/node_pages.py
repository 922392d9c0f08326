"""Destinations, models, the node itself, and the audit trail."""

import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from service.application import Operation, record_action
from service.config import Destination
from service.errors import Refused
from service.scu.client import Scu
from service.scu.outcome import Sent
from service.store import DeliveriesIn, TrailQuery, read_entries, read_queue_statistics
from service.web.access import Visitor, parts_of, permits
from service.web.rendering import page

router = APIRouter(include_in_schema=False)
Viewing = Annotated[Visitor, Depends(permits(Operation.SHOW))]
Echoing = Annotated[Visitor, Depends(permits(Operation.ECHO))]
Auditing = Annotated[Visitor, Depends(permits(Operation.AUDIT))]
ECHO_TIMEOUT_S = 10.0
AUDIT_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """A destination with what stands for it, and what it said last when it did not take something."""

    name: str
    peer: Destination | None
    states: tuple[DeliveriesIn, ...]
    last_words: str


@router.get("/destinations")
def destinations(request: Request, visitor: Viewing) -> Response:
    """Show the destinations: what waits for each, and its last words."""
    parts = parts_of(request)
    under_way = read_queue_statistics(parts.database).deliveries
    said = parts.lists.last_words()
    names = dict.fromkeys([*parts.settings.destination_names, *(one.destination for one in under_way)])
    backlogs = [
        Backlog(
            name=name,
            peer=parts.settings.destination(name),
            states=tuple(one for one in under_way if one.destination == name),
            last_words=said.get(name, ""),
        )
        for name in names
    ]
    return page(request, "destinations.html", visitor, backlogs=backlogs)


@router.post("/destinations/{name}/echo")
def echo(request: Request, visitor: Echoing, name: str) -> Response:
    """Ask a destination by C-ECHO whether it answers."""
    parts = parts_of(request)
    peer = parts.settings.dicom_peers.get(name)
    if peer is None:
        raise Refused(f"there is no DICOM peer {name} in the settings, so it cannot be asked by C-ECHO")
    record_action(parts.database, visitor.actor, Operation.ECHO, detail=name)
    began = time.monotonic()
    timeout_s = min(ECHO_TIMEOUT_S, parts.settings.send.timeout_s)
    outcome = Scu(calling_aet=parts.settings.send.ae_title, timeout_s=timeout_s).echo(peer)
    return page(
        request,
        "echo.html",
        visitor,
        name=name,
        peer=peer,
        ok=isinstance(outcome, Sent),
        reason=outcome.note if isinstance(outcome, Sent) else outcome.reason,
        duration_s=time.monotonic() - began,
    )


@router.get("/models")
def models(request: Request, visitor: Viewing) -> Response:
    """Show the models: versions, structures, licence, and the rules that use them."""
    parts = parts_of(request)
    used = {name: [rule.name for rule in parts.settings.rules if rule.model == name] for name in parts.models}
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
    """Show the audit trail, newest first; the look at it is an entry too."""
    parts = parts_of(request)
    if parts.recent_looks.is_first((visitor.actor.name, "audit")):
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
