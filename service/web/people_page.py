"""People: who may sign in, and what each may do."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from service.application import (
    LINK_LASTS,
    PERMITTED,
    ActorRole,
    Operation,
    change_person,
    invite_person,
    list_people,
    sign_out_person,
    unlock_person,
)
from service.web.access import Visitor, parts_of, permits
from service.web.rendering import page

router = APIRouter(prefix="/people", include_in_schema=False)
Listing = Annotated[Visitor, Depends(permits(Operation.PEOPLE))]
Inviting = Annotated[Visitor, Depends(permits(Operation.INVITE))]
Changing = Annotated[Visitor, Depends(permits(Operation.CHANGE_USER))]
Unlocking = Annotated[Visitor, Depends(permits(Operation.UNLOCK_USER))]
SeesPatients = Annotated[str, Form(max_length=8)]
"""A check box: absent if it is not checked."""
Name = Annotated[str, Form(max_length=128)]


@router.get("")
def people(request: Request, visitor: Listing) -> Response:
    """Show everybody, and what each role permits."""
    return page(request, "people.html", visitor, **_values(request, visitor))


@router.post("/invite")
def invite(
    request: Request,
    visitor: Inviting,
    name: Name,
    role: Annotated[ActorRole, Form()],
    sees_patients: SeesPatients = "",
) -> Response:
    """Add a user and show, once, the link with which they set their password."""
    secret = invite_person(
        parts_of(request).database, visitor.actor, name, role, sees_patients=bool(sees_patients)
    )
    link = f"{request.url.scheme}://{request.headers['host']}/invitation/{secret}"
    return page(
        request, "people.html", visitor, **{**_values(request, visitor), "link": link, "invited": name}
    )


@router.post("/change")
def change(
    request: Request,
    visitor: Changing,
    name: Name,
    role: Annotated[ActorRole, Form()],
    sees_patients: SeesPatients = "",
) -> Response:
    """Change a person's role and right to see patients; their sessions end."""
    change_person(
        parts_of(request).database, visitor.actor, name, role=role, sees_patients=bool(sees_patients)
    )
    return RedirectResponse("/people", 303)


@router.post("/end")
def end(request: Request, visitor: Changing, name: Name) -> Response:
    """End a person's access: they cannot sign in until they are invited again."""
    change_person(parts_of(request).database, visitor.actor, name, ends=True)
    return RedirectResponse("/people", 303)


@router.post("/sign-out")
def sign_out(request: Request, visitor: Changing, name: Name) -> Response:
    """End all sessions of a person, who can sign in again."""
    sign_out_person(parts_of(request).database, visitor.actor, name)
    return RedirectResponse("/people", 303)


@router.post("/unlock")
def unlock(request: Request, visitor: Unlocking, name: Name) -> Response:
    """Let a person who has to wait after wrong passwords try again."""
    unlock_person(parts_of(request).database, visitor.actor, name)
    return RedirectResponse("/people", 303)


def _values(request: Request, visitor: Visitor) -> dict[str, Any]:
    return {
        "people": list_people(parts_of(request).database, visitor.actor),
        "roles": list(ActorRole),
        "permitted": PERMITTED,
        "link": "",
        "invited": "",
        "link_lasts": LINK_LASTS.total_seconds(),
    }
