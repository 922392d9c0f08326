"""Which rule takes a series: the node's own matching, run in a separate process.

A regular expression can run for years and blocks the whole interpreter meanwhile; so the process is ended after a time
limit. Run as a program, this module is that process: it reads one JSON object and writes the names of the rules that it
has begun, one per line, and then the result as JSON.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from imaging.modality import Modality
from service.config import Rule, SeriesFacts, Settings
from service.config.matching import TIME_LIMIT_S, RuleTooSlow

PAIR_S = 1e-5
"""Processor time for each rule and series, in addition to TIME_LIMIT_S for all of them."""
GIVEN_UP_S = 60.0


@dataclass(frozen=True, kw_only=True)
class RuleView:
    """Why one rule does not match a series; empty if it does."""

    name: str
    unmet: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RuleJudgement:
    """The rule that takes a series, empty if none does; and, if asked for, why each rule does not match."""

    rule: str
    views: tuple[RuleView, ...] = ()


def judge(settings: Settings, series: Sequence[SeriesFacts], *, explain: bool = False) -> list[RuleJudgement]:
    """Return which rule of the settings takes each series.

    Args:
        settings: the settings with the rules.
        series: the facts of each series.
        explain: also say why each rule does not match.

    Raises:
        RuleTooSlow: the rules take longer than TIME_LIMIT_S; the message names the rule.
    """
    different = dict.fromkeys(series)  # most series of a scanner have the same facts
    if not any(rule.patterns for rule in settings.rules):
        answers = _answers(settings, list(different), explain=explain)
    else:
        task = {
            "rules": [rule.model_dump(mode="json") for rule in settings.rules],
            "series": [asdict(one) for one in different],
            "explain": explain,
        }
        answers = json.loads(_run(json.dumps(task))[-1])
    judgements = (
        RuleJudgement(
            rule=one["rule"],
            views=tuple(RuleView(name=view["name"], unmet=tuple(view["unmet"])) for view in one["views"]),
        )
        for one in answers
    )
    found = dict(zip(different, judgements, strict=True))
    return [found[one] for one in series]


def _run(task: str) -> list[str]:
    command = [sys.executable, "-m", "service.web.rules.judging"]
    done = subprocess.run(
        command, input=task, capture_output=True, text=True, timeout=GIVEN_UP_S, check=False
    )
    said = done.stdout.splitlines()
    if done.returncode == -signal.SIGVTALRM:
        raise RuleTooSlow(said[-1] if said else "")
    if done.returncode != 0:
        raise RuntimeError(
            f"the process that matches rules ended with {done.returncode}: {done.stderr[-500:]}"
        )
    return said


def _main() -> None:
    task: dict[str, Any] = json.load(sys.stdin)
    rules = tuple(Rule.model_validate(rule) for rule in task["rules"])
    series = [SeriesFacts(**{**facts, "modality": Modality(facts["modality"])}) for facts in task["series"]]
    limit_s = TIME_LIMIT_S + PAIR_S * len(rules) * len(series)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)  # ends the process, even inside a regular expression
    for rule in rules:  # first one after another, so that the slow one is known
        sys.stdout.write(f"{rule.name}\n")
        sys.stdout.flush()
        for facts in series:
            rule.matches(facts)
    answers = _answers(Settings.model_construct(rules=rules), series, explain=task["explain"])
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    sys.stdout.write(json.dumps(answers))


def _answers(settings: Settings, series: Sequence[SeriesFacts], *, explain: bool) -> list[dict[str, Any]]:
    found = []
    for facts in series:
        rule = settings.rule_for(facts)
        views = [{"name": one.name, "unmet": list(one.unmet(facts))} for one in settings.rules if explain]
        found.append({"rule": "" if rule is None else rule.name, "views": views})
    return found


if __name__ == "__main__":
    _main()
