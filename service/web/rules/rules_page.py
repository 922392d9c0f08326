"""Rules: what each does, which takes a series and why, and what a draft would have done with past ones."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from starlette.responses import Response

from imaging.ct.series import SourceFile
from service.application import Operation, past_series
from service.assemble.looks import look_at
from service.config import Rule, SeriesFacts, Settings
from service.config.rules_text import RuleDraft, RuleFault, draft_of, fault_at, rules_text
from service.errors import Refused
from service.store.jobs.past_series import PastSeries
from service.web.access import Visitor, parts_of, permits
from service.web.parts import WebParts
from service.web.rendering import page
from service.web.rules.judging import RuleJudgement, judge

router = APIRouter(prefix="/rules", include_in_schema=False)
Looking = Annotated[Visitor, Depends(permits(Operation.RULES))]
MOST_SERIES, USUAL_SERIES = 100_000, 500
MOST_SHOWN = 200
LONGEST_TITLE = 16


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A DICOM file that somebody dropped: what rules may ask of it, and which takes it; never stored."""

    facts: SeriesFacts
    judgement: RuleJudgement


@dataclass(frozen=True, kw_only=True)
class BackTest:
    """What a draft would have done with past series, beside the rules that hold."""

    series: int
    moves: tuple[
        tuple[str, str, int], ...
    ]  # rule that holds, rule of the draft, number of series; what changes
    changed: tuple[tuple[PastSeries, str, str], ...]

    @property
    def changes(self) -> int:
        """How many series another rule would take."""
        return sum(count for *_, count in self.moves)


@router.get("")
def rules(request: Request, visitor: Looking) -> Response:
    """Show the rules that hold."""
    return _page(request, visitor)


@router.post("/drop")
def drop(
    request: Request,
    visitor: Looking,
    image: Annotated[UploadFile, File()],
    text: Annotated[str, Form()] = "",
    calling: Annotated[str, Form(max_length=LONGEST_TITLE)] = "",
    called: Annotated[str, Form(max_length=LONGEST_TITLE)] = "",
) -> Response:
    """Say which rule of the draft takes a dropped image, and why no other one does."""
    parts = parts_of(request)
    draft = _checked(parts, text)
    if draft.settings is None:
        return _page(request, visitor, text=text, draft=draft)
    look = look_at(SourceFile(name=image.filename or "the file", data=image.file.read()))
    if look.kind is None:
        raise Refused("the file is no CT or MR image that the node can read")
    facts = SeriesFacts(
        called_aet=called or parts.settings.receive.ae_title,
        calling_aet=calling,
        modality=look.modality,
        body_part=look.body_part,
        series_description=look.series_description,
    )
    (judgement,) = judge(draft.settings, [facts], explain=True)
    return _page(request, visitor, text=text, draft=draft, dropped=Dropped(facts=facts, judgement=judgement))


@router.post("/try")
def try_draft(
    request: Request,
    visitor: Looking,
    text: Annotated[str, Form()] = "",
    number: Annotated[int, Form(ge=1, le=MOST_SERIES)] = USUAL_SERIES,
) -> Response:
    """Check a draft, and say what it would have done with the last series."""
    parts = parts_of(request)
    draft = _checked(parts, text)
    if draft.settings is None:
        return _page(request, visitor, text=text, draft=draft)
    series = past_series(parts.database, visitor.actor, limit=number)
    test = _back_test(parts.settings, draft.settings, series)
    return _page(request, visitor, text=text, draft=draft, test=test)


def _checked(parts: WebParts, text: str) -> RuleDraft:
    """Return the draft of a text; a model that this node lacks is a fault too."""
    text = text.replace("\r\n", "\n")
    draft = draft_of(text, parts.settings)
    if draft.settings is None:
        return draft
    faults: list[RuleFault] = []
    known = ", ".join(sorted(parts.models)) or "none"
    for number, rule in enumerate(draft.settings.rules):
        if rule.model not in parts.models:
            message = f"model {rule.model} is not in the model repository; there are: {known}"
            faults.append(fault_at(text, number, "model", message))
        if rule.template is not None and not rule.template.is_file():
            message = f"there is no template {rule.template}; give its whole path"
            faults.append(fault_at(text, number, "template", message))
    return RuleDraft(settings=None, faults=tuple(faults)) if faults else draft


def _back_test(now: Settings, then: Settings, series: Sequence[PastSeries]) -> BackTest:
    facts = [one.facts for one in series]
    pairs = [(old.rule, new.rule) for old, new in zip(judge(now, facts), judge(then, facts), strict=True)]
    differing = [(one, *pair) for one, pair in zip(series, pairs, strict=True) if pair[0] != pair[1]]
    counted = Counter((old, new) for _, old, new in differing)
    moves = tuple((old, new, count) for (old, new), count in counted.most_common())
    return BackTest(series=len(series), moves=moves, changed=tuple(differing[:MOST_SHOWN]))


def conditions_of(rule: Rule) -> list[str]:
    """Return what a rule asks of a series, in words."""
    asked = [
        ("called as", rule.called_aet),
        ("body part", rule.body_part),
        ("description", rule.series_description),
    ]
    senders = [f"from {' or '.join(rule.calling_aets)}"] if rule.calling_aets else []
    return [rule.modality.value, *senders, *(f"{word} {value}" for word, value in asked if value is not None)]


def _page(
    request: Request,
    visitor: Visitor,
    *,
    text: str | None = None,
    draft: RuleDraft | None = None,
    dropped: Dropped | None = None,
    test: BackTest | None = None,
) -> Response:
    parts = parts_of(request)
    values: dict[str, Any] = {
        "rules": [(rule, conditions_of(rule)) for rule in parts.settings.rules],
        "counts": parts.lists.by_rule(),
        "text": rules_text(parts.settings.rules) if text is None else text,
        "draft": draft,
        "dropped": dropped,
        "test": test,
        "usual": USUAL_SERIES,
        "most": MOST_SERIES,
        "node_title_used": parts.settings.receive.ae_title,
    }
    status = 422 if draft is not None and draft.faults else 200
    return page(request, "rules.html", visitor, http_status=status, **values)
