"""Changes of the rules on the web page: save a draft, activate it, look at earlier versions, roll back."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from service.application import FaultyRules, NotPermitted, Operation
from service.config.rules_text import RuleDraft
from service.errors import Refused
from service.store.errors import RulesChanged
from service.store.node.rule_sets import RuleSet, RuleVersions
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import LARGEST
from service.web.rendering import page
from service.web.rules.rules_page import Typed, TypedRules, difference, rules_view

router = APIRouter(prefix="/rules", include_in_schema=False)
Looking = Annotated[Visitor, Depends(permits(Operation.RULES))]
Drafting = Annotated[Visitor, Depends(permits(Operation.RULES_DRAFT))]
Discarding = Annotated[Visitor, Depends(permits(Operation.RULES_DISCARD))]
Activating = Annotated[Visitor, Depends(permits(Operation.RULES_ACTIVATE))]
RollingBack = Annotated[Visitor, Depends(permits(Operation.RULES_ROLLBACK))]
Reason = Annotated[str, Form(max_length=2000)]
Seen = Annotated[int, Form(ge=0, le=LARGEST)]
"""The version that the page showed as the active one; 0: the settings file's rules."""
Number = Annotated[int, Form(ge=1, le=LARGEST)]
ROWS = 25


@router.post("/draft")
def save(request: Request, visitor: Drafting, typed: Typed) -> Response:
    """Save a text as a draft, with its faults if it has any."""

    def act() -> Response:
        made = parts_of(request).office.write_draft(visitor.actor, typed.text, typed.reason)
        return RedirectResponse(f"/rules?draft={made.number}", 303)

    return _or_shown(request, visitor, act, typed)


@router.post("/discard")
def discard(request: Request, visitor: Discarding, number: Number) -> Response:
    """Discard a draft."""
    parts_of(request).office.discard(visitor.actor, number)
    return RedirectResponse("/rules", 303)


@router.post("/activate")
def activate(request: Request, visitor: Activating, seen: Seen, typed: Typed) -> Response:
    """Activate a text from the next job on: as the saved draft, if it has not been changed since."""

    def act() -> Response:
        office = parts_of(request).office
        if typed.saved is not None and office.version(visitor.actor, typed.saved).text == typed.text:
            office.activate_draft(visitor.actor, typed.saved, typed.reason, seen=seen)
        else:
            office.activate(visitor.actor, typed.text, typed.reason, seen=seen)
        return RedirectResponse("/rules", 303)

    return _or_shown(request, visitor, act, typed)


@router.get("/history")
def history(
    request: Request,
    visitor: Looking,
    before: Annotated[int | None, Query(ge=1, le=LARGEST)] = None,
) -> Response:
    """Show the versions, newest first, and what each changed."""
    return _history(request, visitor, before=before)


@router.post("/rollback")
def roll_back(
    request: Request, visitor: RollingBack, number: Number, seen: Seen, reason: Reason = ""
) -> Response:
    """Activate an earlier version again, as a new one."""
    try:
        parts_of(request).office.roll_back(visitor.actor, number, reason, seen=seen)
    except NotPermitted:
        raise
    except Refused as error:
        return _history(request, visitor, problem=str(error), status=_status(error))
    return RedirectResponse("/rules", 303)


def _history(
    request: Request, visitor: Visitor, *, before: int | None = None, problem: str = "", status: int = 200
) -> Response:
    parts = parts_of(request)
    found = list(parts.office.versions(visitor.actor, before=before, limit=ROWS + 1))
    versions = RuleVersions(parts.database)
    values: dict[str, Any] = {
        "rows": [(one, _changes(versions, one)) for one in found[:ROWS]],
        "older": found[ROWS - 1].number if len(found) > ROWS else None,
        "held": parts.rules.current(),
        "locked": parts.settings.locked_rules,
        "problem": problem,
    }
    return page(request, "rules_history.html", visitor, http_status=status, **values)


def _changes(versions: RuleVersions, one: RuleSet) -> list[str]:
    """Return what a version changed compared with the one that it replaced."""
    if one.is_from_file and not one.author:
        return difference("", one.text)
    before = versions.before_versions() if one.based_on is None else versions.version(one.based_on)
    return difference("" if before is None else before.text, one.text)


def _or_shown(request: Request, visitor: Visitor, act: Callable[[], Response], typed: TypedRules) -> Response:
    """Carry out an order; if it is refused, show again what was typed, with the reason."""
    try:
        return act()
    except NotPermitted:
        raise
    except FaultyRules as error:
        draft = RuleDraft(settings=None, faults=error.faults)
        return rules_view(request, visitor, typed.view(draft=draft, status=_status(error)))
    except Refused as error:
        return rules_view(request, visitor, typed.view(problem=str(error), status=_status(error)))


def _status(error: Refused) -> int:
    if isinstance(error, RulesChanged):
        return HTTPStatus.PRECONDITION_FAILED
    return HTTPStatus.UNPROCESSABLE_ENTITY
