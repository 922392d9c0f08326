"""The rules for programs: the active ones, their versions; check, try and activate a text, roll back.

An order with the ETag of `GET rules` in `If-Match` is refused if other rules have become active since.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field

from service.application import Operation, past_series
from service.config.rules_text import LONGEST_TEXT, RuleFault, rules_text
from service.store.node.rule_sets import RuleSet
from service.store.states import RuleSetState
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import LARGEST, PROBLEMS, Limit, Printable, name_next_page
from service.web.parts import WebParts
from service.web.rules.checking import TRIED_SERIES, back_test, lost_titles

router = APIRouter(prefix="/api/v1/rules", tags=["rules"], responses=PROBLEMS)
Looking = Annotated[Visitor, Depends(permits(Operation.RULES))]
Drafting = Annotated[Visitor, Depends(permits(Operation.RULES_DRAFT))]
Discarding = Annotated[Visitor, Depends(permits(Operation.RULES_DISCARD))]
Activating = Annotated[Visitor, Depends(permits(Operation.RULES_ACTIVATE))]
RollingBack = Annotated[Visitor, Depends(permits(Operation.RULES_ROLLBACK))]
Number = Annotated[int, Path(ge=1, le=LARGEST, description="The version's number.")]
IfMatch = Annotated[
    str | None, Header(pattern=r'^(\*|"rules-[0-9]{1,10}")$', description="The ETag of the active rules.")
]
RulesText = Annotated[str, Field(max_length=LONGEST_TEXT, description="TOML with [[rules]], nothing else.")]
Reason = Annotated[Printable, Field(min_length=1, max_length=500, description="Why; name no patient.")]


class HoldingRules(BaseModel):
    """The active rules; version 0: those of the settings."""

    version: int
    text: str
    rules: list[str]
    faults: list[str] = Field(description="Why nothing can be contoured by them; empty if that is possible.")
    locked: str = Field(description="Why no version can replace them; empty if one can.")
    settings_differ: str = Field(
        description="That the settings file's rules were changed but are not active; or empty."
    )


class ShownVersion(BaseModel):
    """One version of the rules, or a draft."""

    number: int
    state: RuleSetState
    text: str
    author: str = Field(description="Empty: the settings file's rules, recorded by the node.")
    reason: str
    is_from_file: bool
    based_on: int | None
    restores: int | None
    made_at: datetime
    activated_by: str
    activated_at: datetime | None

    @classmethod
    def of(cls, one: RuleSet) -> "ShownVersion":
        """Return a version in the form that programs get."""
        return cls(**vars(one))


class ShownFault(BaseModel):
    """What is wrong with a text, and where: line and column from 1."""

    line: int
    column: int
    message: str


class CheckedText(BaseModel):
    """What is wrong with a text of rules, and the AE titles that the node would no longer answer to."""

    faults: list[ShownFault]
    lost_titles: list[str]


class Move(BaseModel):
    """How many past series would move from one rule to another; an empty name: no rule."""

    now: str
    then: str
    series: int


class TriedText(BaseModel):
    """What a text of rules would have done with past series."""

    series: int
    moves: list[Move]


class TextOrder(BaseModel):
    """A text of rules to be checked."""

    text: RulesText


class TrialOrder(TextOrder):
    """A text of rules to be tried on the last series."""

    series: int = Field(default=TRIED_SERIES, ge=1, le=100_000)


class DraftOrder(TextOrder):
    """A text to be kept as a draft."""

    reason: Annotated[Printable, Field(max_length=500)] = ""


class ActivationOrder(TextOrder):
    """A text that is to be activated."""

    reason: Reason


class ReasonOrder(BaseModel):
    """Why a draft, or an earlier version, is to be activated."""

    reason: Reason


@router.get("")
def rules(request: Request, response: Response, visitor: Looking) -> HoldingRules:
    """Return the active rules; the ETag names their version."""
    parts = parts_of(request)
    held = parts.rules.current()
    text = (
        parts.office.version(visitor.actor, held.number).text
        if held.number
        else rules_text(parts.settings.rules)
    )
    response.headers["ETag"] = f'"rules-{held.number}"'
    return HoldingRules(
        version=held.number,
        text=text,
        rules=[rule.name for rule in held.settings.rules],
        faults=list(held.faults),
        locked=parts.settings.locked_rules,
        settings_differ=parts.rules.file_differs(),
    )


@router.get("/versions")
def versions(
    request: Request,
    response: Response,
    visitor: Looking,
    before_id: Annotated[int | None, Query(ge=1, le=LARGEST, description="Only lower numbers.")] = None,
    limit: Limit = 50,
) -> list[ShownVersion]:
    """Return versions and drafts, newest first; the header Link names the next page if there is one."""
    found = parts_of(request).office.versions(visitor.actor, before=before_id, limit=limit + 1)
    if len(found) > limit:
        name_next_page(request, response, found[limit - 1].number)
    return [ShownVersion.of(one) for one in found[:limit]]


@router.get("/versions/{version}")
def version(request: Request, visitor: Looking, version: Number) -> ShownVersion:
    """Return one version or draft."""
    return ShownVersion.of(parts_of(request).office.version(visitor.actor, version))


@router.post("/check")
def check(request: Request, _: Looking, order: TextOrder) -> CheckedText:
    """Say what is wrong with a text; nothing is kept."""
    parts = parts_of(request)
    draft = parts.checked(order.text)
    lost = () if draft.settings is None else lost_titles(parts.ruled, draft.settings)
    return CheckedText(faults=[_shown(one) for one in draft.faults], lost_titles=list(lost))


@router.post("/backtest")
def backtest(request: Request, visitor: Looking, order: TrialOrder) -> TriedText:
    """Say which of the last series would go to another rule by a text; a faulty text is refused."""
    parts = parts_of(request)
    then = parts.fit(order.text)
    series = past_series(parts.database, visitor.actor, limit=order.series)
    test = back_test(parts.ruled, then, series, most=0)
    return TriedText(
        series=test.series, moves=[Move(now=old, then=new, series=count) for old, new, count in test.moves]
    )


@router.post("/drafts", status_code=201)
def draft(request: Request, visitor: Drafting, order: DraftOrder) -> ShownVersion:
    """Keep a text as a draft, with its faults if it has any."""
    return ShownVersion.of(parts_of(request).office.write_draft(visitor.actor, order.text, order.reason))


@router.post("/versions/{version}/discard", status_code=204)
def discard(request: Request, visitor: Discarding, version: Number) -> None:
    """Discard a draft."""
    parts_of(request).office.discard(visitor.actor, version)


@router.post("/activate")
def activate(
    request: Request, visitor: Activating, order: ActivationOrder, if_match: IfMatch = None
) -> ShownVersion:
    """Activate a text from the next job on."""
    parts = parts_of(request)
    seen = _seen(parts, if_match)
    return ShownVersion.of(parts.office.activate(visitor.actor, order.text, order.reason, seen=seen))


@router.post("/versions/{version}/activate")
def activate_draft(
    request: Request, visitor: Activating, version: Number, order: ReasonOrder, if_match: IfMatch = None
) -> ShownVersion:
    """Activate a draft from the next job on."""
    parts = parts_of(request)
    seen = _seen(parts, if_match)
    return ShownVersion.of(parts.office.activate_draft(visitor.actor, version, order.reason, seen=seen))


@router.post("/versions/{version}/rollback")
def rollback(
    request: Request, visitor: RollingBack, version: Number, order: ReasonOrder, if_match: IfMatch = None
) -> ShownVersion:
    """Activate an earlier version again, as a new one."""
    parts = parts_of(request)
    seen = _seen(parts, if_match)
    return ShownVersion.of(parts.office.roll_back(visitor.actor, version, order.reason, seen=seen))


def _seen(parts: WebParts, if_match: str | None) -> int:
    """Return the version that a program saw; without the header, the active one."""
    if if_match is None or if_match == "*":
        return parts.rules.current().number
    return int(if_match.strip('"').rpartition("-")[2])


def _shown(fault: RuleFault) -> ShownFault:
    return ShownFault(line=fault.line, column=fault.column, message=fault.message)
