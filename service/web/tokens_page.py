"""Tokens, with which programs use the API: made, shown once, revoked."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from service.application import (
    SCOPE_OPERATIONS,
    MadeToken,
    Operation,
    TokenScope,
    create_token,
    list_tokens,
    revoke_token,
)
from service.web.access import Visitor, parts_of, permits
from service.web.rendering import page

router = APIRouter(prefix="/tokens", include_in_schema=False)
Managing = Annotated[Visitor, Depends(permits(Operation.TOKENS))]
Name = Annotated[str, Form(max_length=64)]
USUAL_DAYS = 365


@router.get("")
def tokens(request: Request, visitor: Managing) -> Response:
    """Show all tokens, present and past."""
    return page(request, "tokens.html", visitor, **_values(request, visitor))


@router.post("/make")
def make(
    request: Request,
    visitor: Managing,
    name: Name,
    days: Annotated[int, Form()] = USUAL_DAYS,
    scopes: Annotated[list[TokenScope] | None, Form()] = None,
) -> Response:
    """Make a token and show it once."""
    made = create_token(parts_of(request).database, visitor.actor, name, scopes or [], days=days)
    return page(request, "tokens.html", visitor, **_values(request, visitor, made))


@router.post("/revoke")
def revoke(request: Request, visitor: Managing, name: Name) -> Response:
    """Revoke a token: the next request with it is refused."""
    revoke_token(parts_of(request).database, visitor.actor, name)
    return RedirectResponse("/tokens", 303)


def _values(request: Request, visitor: Visitor, made: MadeToken | None = None) -> dict[str, Any]:
    return {
        "tokens": list_tokens(parts_of(request).database, visitor.actor),
        "scopes": SCOPE_OPERATIONS,
        "days": USUAL_DAYS,
        "made": made,
    }
