"""Match rules within a time limit: a regular expression can run for years and blocks the interpreter meanwhile."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service.config.rules import Rule, SeriesFacts
from service.errors import Refused

TIME_LIMIT_S = 2.0
"""Processor time for all rules and one series."""


class RuleTooSlow(Refused):
    """A regular expression of a rule takes longer than the time limit."""

    def __init__(self, rule: str, limit_s: float = TIME_LIMIT_S) -> None:
        """Name the rule; empty: it is not known which one."""
        super().__init__(
            f"{f'rule {rule}' if rule else 'the rules'}: a regular expression takes more than {limit_s:g} s; nested "
            "repeats, as in (a+)+, cause that: write it without them"
        )
        self.rule = rule


@contextmanager
def limited(rules: Sequence[Rule], facts: SeriesFacts, limit_s: float = TIME_LIMIT_S) -> Iterator[None]:
    """Stop the block if it takes longer than the limit; this works only in the main thread.

    Raises:
        RuleTooSlow: it took longer; the rule that cannot be matched with these facts is named.
    """
    try:
        with _alarm(limit_s):
            yield
    except _Over:
        raise RuleTooSlow(_slow_one(rules, facts, limit_s), limit_s) from None


class _Over(Exception):
    """The time is over."""


@contextmanager
def _alarm(limit_s: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise _Over

    before = signal.signal(signal.SIGVTALRM, stop)  # `re` looks for signals inside a match
    signal.setitimer(signal.ITIMER_VIRTUAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _slow_one(rules: Sequence[Rule], facts: SeriesFacts, limit_s: float) -> str:
    for rule in rules:
        try:
            with _alarm(limit_s / 2):
                rule.matches(facts)
        except _Over:
            return rule.name
    return ""
