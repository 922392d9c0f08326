"""Whether a text of rules can be activated here: every fault with its place, and no endless regular expression."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.config import Rule, SeriesFacts, Settings
from service.config.matching import RuleTooSlow
from service.config.rules_text import RuleDraft, RuleFault, fault_at
from service.rules import faults_of
from service.rules.fitness import Contracts
from service.store import Database
from service.store.jobs.past_series import PastSeries, read_past_series
from service.text import cell
from service.web.rules.judging import judge
from service.web.translation import _

TRIED_SERIES = 500
_LONGEST_TEXT = 64  # of a Series Description
_MOST_LETTERS = 12
_OF_EACH_CLASS = ("a", "A", "0", " ", "-")
_WORD = re.compile(r"\w{2,16} ?")


@dataclass(frozen=True, kw_only=True)
class BackTest:
    """What a draft would have done with past series, compared with the active rules."""

    series: int
    moves: tuple[
        tuple[str, str, int], ...
    ]  # active rule, rule of the draft, number of series that would move
    changed: tuple[tuple[PastSeries, str, str], ...]

    @property
    def changes(self) -> int:
        """The number of series that another rule would take."""
        return sum(count for *_, count in self.moves)


def checked(text: str, settings: Settings, contracts: Contracts, database: Database) -> RuleDraft:
    """Return the draft of a text, checked as if it were activated now.

    Args:
        text: TOML with `[[rules]]` and nothing else; a browser's line ends are accepted.
        settings: the node's.
        contracts: the models that the node has.
        database: the rules are matched against its last series, and against texts that slow expressions are slow on.
    """
    text = text.replace("\r\n", "\n")
    draft = faults_of(text, settings, contracts)
    if draft.settings is None or not any(rule.patterns for rule in draft.settings.rules):
        return draft
    with database.reading() as connection:
        series = [one.facts for one in read_past_series(connection, TRIED_SERIES)]
    try:
        judge(draft.settings, [*series, *slow_texts(draft.settings.rules)])
    except RuleTooSlow as slow:
        return RuleDraft(settings=None, faults=(_slow_fault(text, draft.settings.rules, slow),))
    return draft


def back_test(now: Settings, then: Settings, series: Sequence[PastSeries], *, most: int) -> BackTest:
    """Return what other rules would have done with past series; of those that move, list at most ``most``."""
    facts = [one.facts for one in series]
    pairs = [(old.rule, new.rule) for old, new in zip(judge(now, facts), judge(then, facts), strict=True)]
    differing = [(one, *pair) for one, pair in zip(series, pairs, strict=True) if pair[0] != pair[1]]
    counted = Counter((old, new) for _, old, new in differing)
    moves = tuple((old, new, count) for (old, new), count in counted.most_common())
    return BackTest(series=len(series), moves=moves, changed=tuple(differing[:most]))


def table_of(test: BackTest) -> bytes:
    """Return the series that would change as CSV for a spreadsheet, without patients: UTF-8 with a byte order mark."""
    none = _("(no rule)")
    rows: list[tuple[object, ...]] = [
        (
            _("Job"),
            _("Active rules"),
            _("Draft"),
            _("Modality"),
            _("Calling AE title"),
            _("Called AE title"),
            _("Body part"),
            _("Description"),
        )
    ]
    for one, old, new in test.changed:
        facts = one.facts
        asked = (facts.modality.value, facts.calling_aet, facts.called_aet, facts.body_part)
        rows.append((one.job_id, old or none, new or none, *asked, facts.series_description))
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[cell(value) for value in row] for row in rows])
    return text.getvalue().encode("utf-8-sig")


def lost_titles(now: Settings, then: Settings) -> tuple[str, ...]:
    """Return the AE titles that the node answers to now and would not by other rules: it would reject their senders."""
    return tuple(sorted(now.called_aets - then.called_aets))


def slow_texts(rules: Sequence[Rule]) -> Iterator[SeriesFacts]:
    """Yield series with long runs of one letter or word: slow expressions are slow on these.

    The runs are of letters and words in the expressions, and of one of each class, for `\\d` names no digit.
    """
    for rule in rules:
        letters = dict.fromkeys(c for pattern in rule.patterns for c in pattern if c.isalnum() or c == " ")
        words = dict.fromkeys(word for pattern in rule.patterns for word in _WORD.findall(pattern))
        for run in dict.fromkeys(
            (*_OF_EACH_CLASS, *list(letters)[:_MOST_LETTERS], *list(words)[:_MOST_LETTERS])
        ):
            text = (run * _LONGEST_TEXT)[: (_LONGEST_TEXT - 1) // len(run) * len(run)] + "\x01"
            yield SeriesFacts(
                called_aet=rule.called_aet or "",
                calling_aet=next(iter(rule.calling_aets), ""),
                modality=rule.modality,
                body_part=text,
                series_description=text,
            )


def _slow_fault(text: str, rules: Sequence[Rule], slow: RuleTooSlow) -> RuleFault:
    number = next((number for number, rule in enumerate(rules) if rule.name == slow.rule), 0)
    key = "body_part" if rules[number].body_part is not None else "series_description"
    return fault_at(text, number, key, str(slow))
