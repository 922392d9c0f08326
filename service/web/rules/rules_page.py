"""Rules: what each does, which one takes a series and why, and what a draft would have done with past series."""

import difflib
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from starlette.responses import Response

from imaging.ct.series import SourceFile
from service.application import Operation, past_series
from service.assemble.looks import look_at
from service.config import Rule, SeriesFacts
from service.config.rules_text import LONGEST_TEXT, RuleDraft, rules_text
from service.errors import Refused
from service.store.node.rule_sets import RuleVersions
from service.web.access import Visitor, parts_of, permits
from service.web.api.shapes import LARGEST
from service.web.rendering import page
from service.web.rules.checking import TRIED_SERIES, BackTest, back_test, lost_titles, table_of
from service.web.rules.judging import RuleJudgement, judge
from service.web.translation import _

router = APIRouter(prefix="/rules", include_in_schema=False)
Looking = Annotated[Visitor, Depends(permits(Operation.RULES))]
MOST_SERIES = 100_000
_PLACE = re.compile(r"^@@ -\S+ \+(\d+)\S* @@$")
MOST_SHOWN = 200
LONGEST_TITLE = 16


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A DICOM file that somebody dropped: the facts that rules test, and which rule takes it; never stored."""

    facts: SeriesFacts
    judgement: RuleJudgement


class TypedRules:
    """The content of the form: a text, the number of the saved draft that it comes from, and the reason."""

    def __init__(
        self,
        text: Annotated[str, Form(max_length=2 * LONGEST_TEXT)] = "",
        saved: Annotated[int | None, Form(ge=1, le=LARGEST)] = None,
        reason: Annotated[str, Form(max_length=2000)] = "",
    ) -> None:
        """Read the form; a browser's line ends are turned back into those of the text."""
        self.text = text.replace("\r\n", "\n")
        self.saved = saved
        self.reason = reason

    def view(self, **found: Any) -> "RulesView":
        """Return the view of what was typed, and of what was found out about it."""
        return RulesView(text=self.text, number=self.saved, reason=self.reason, **found)


Typed = Annotated[TypedRules, Depends()]


@dataclass(frozen=True, kw_only=True)
class RulesView:
    """What the page shows besides the active rules: a text, and what was found out about it."""

    text: str | None = None  # None: that of the active rules
    draft: RuleDraft | None = None
    dropped: Dropped | None = None
    test: BackTest | None = None
    number: int | None = None  # of the saved draft that the text comes from
    reason: str = ""
    problem: str = ""  # why an order was not carried out
    status: int = 200


def rules_view(request: Request, visitor: Visitor, view: RulesView) -> Response:
    """Return the page of the rules."""
    parts = parts_of(request)
    held, versions = parts.rules.current(), RuleVersions(parts.database)
    version = versions.version(held.number) if held.number else None
    holding = rules_text(parts.settings.rules) if version is None else version.text
    text = holding if view.text is None else view.text
    then = None if view.draft is None else view.draft.settings
    values: dict[str, Any] = {
        "view": view,
        "held": held,
        "version": version,
        "rules": [(rule, conditions_of(rule)) for rule in held.settings.rules],
        "counts": parts.lists.by_rule(),
        "text": text,
        "diff": difference(holding, text) if view.text is not None else [],
        "lost": () if then is None else lost_titles(held.settings, then),
        "drafts": versions.drafts(),
        "locked": parts.settings.locked_rules,
        "differs": parts.rules.file_differs(),
        "needs_two": parts.settings.web.rules_need_two,
        "usual": TRIED_SERIES,
        "most": MOST_SERIES,
        "node_title_used": parts.settings.receive.ae_title,
    }
    faulty = view.draft is not None and bool(view.draft.faults)
    status = 422 if faulty and view.status == HTTPStatus.OK else view.status
    return page(request, "rules.html", visitor, http_status=status, **values)


def difference(before: str, after: str) -> list[str]:
    """Return what changes between two texts: lines that begin with "+", "-" or a space, and "@" with their place."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    shown = [line for line in lines if not line.startswith(("---", "+++"))]
    return [_PLACE.sub(lambda found: "@ " + _("line %(line)s", line=found[1]), line) for line in shown]


@router.get("")
def rules(
    request: Request, visitor: Looking, draft: Annotated[int | None, Query(ge=1, le=LARGEST)] = None
) -> Response:
    """Show the active rules, and a saved draft."""
    if draft is None:
        return rules_view(request, visitor, RulesView())
    parts = parts_of(request)
    saved = parts.office.version(visitor.actor, draft)
    view = RulesView(text=saved.text, draft=parts.checked(saved.text), number=draft, reason=saved.reason)
    return rules_view(request, visitor, view)


@router.post("/drop")
def drop(
    request: Request,
    visitor: Looking,
    image: Annotated[UploadFile, File()],
    typed: Typed,
    calling: Annotated[str, Form(max_length=LONGEST_TITLE)] = "",
    called: Annotated[str, Form(max_length=LONGEST_TITLE)] = "",
) -> Response:
    """Say which rule of the draft takes a dropped image, and why the others do not."""
    parts = parts_of(request)
    draft = parts.checked(typed.text)
    if draft.settings is None:
        return rules_view(request, visitor, typed.view(draft=draft))
    look = look_at(SourceFile(name=image.filename or "the file", data=image.file.read()))
    if look.kind is None:
        raise Refused(_("the file is not a CT or MR image that the node can read"))
    facts = SeriesFacts(
        called_aet=called or parts.settings.receive.ae_title,
        calling_aet=calling,
        modality=look.modality,
        body_part=look.body_part,
        series_description=look.series_description,
    )
    (judgement,) = judge(draft.settings, [facts], explain=True)
    dropped = Dropped(facts=facts, judgement=judgement)
    return rules_view(request, visitor, typed.view(draft=draft, dropped=dropped))


@router.post("/try")
def try_draft(
    request: Request,
    visitor: Looking,
    typed: Typed,
    number: Annotated[int, Form(ge=1, le=MOST_SERIES)] = TRIED_SERIES,
) -> Response:
    """Check a draft, and say what it would have done with the last series."""
    parts = parts_of(request)
    draft = parts.checked(typed.text)
    if draft.settings is None:
        return rules_view(request, visitor, typed.view(draft=draft))
    series = past_series(parts.database, visitor.actor, limit=number)
    test = back_test(parts.ruled, draft.settings, series, most=MOST_SHOWN)
    return rules_view(request, visitor, typed.view(draft=draft, test=test))


@router.post("/back-test.csv")
def back_test_table(
    request: Request,
    visitor: Looking,
    typed: Typed,
    number: Annotated[int, Form(ge=1, le=MOST_SERIES)] = TRIED_SERIES,
) -> Response:
    """Return what try_draft() finds as a table: each of the last series that another rule would take."""
    parts = parts_of(request)
    draft = parts.checked(typed.text)
    if draft.settings is None:
        return rules_view(request, visitor, typed.view(draft=draft))
    series = past_series(parts.database, visitor.actor, limit=number, is_taken_away=True)
    table = table_of(back_test(parts.ruled, draft.settings, series, most=MOST_SERIES))
    headers = {"Content-Disposition": 'attachment; filename="back-test.csv"'}
    return Response(table, media_type="text/csv; charset=utf-8", headers=headers)


def conditions_of(rule: Rule) -> list[str]:
    """Return the conditions of a rule, in words."""
    senders = _(" or ").join(rule.calling_aets)
    asked = [
        _("from %(sender)s", sender=senders) if senders else None,
        None if rule.called_aet is None else _("called AE title %(title)s", title=rule.called_aet),
        None if rule.body_part is None else _("body part %(pattern)s", pattern=rule.body_part),
        None
        if rule.series_description is None
        else _("description %(pattern)s", pattern=rule.series_description),
    ]
    return [rule.modality.value, *(words for words in asked if words is not None)]
