"""Outcomes of a request to a peer, distinguished by what happens next."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The peer has the object; ``note`` is its warning, or empty."""

    note: str = ""


@dataclass(frozen=True, kw_only=True)
class TransientFailure:
    """It failed, but another attempt may succeed."""

    reason: str
    is_unreachable: bool = False  # no answer at all: anything else sent there would fail the same way
    retry_after_s: float | None = None  # the delay that the peer asked for


@dataclass(frozen=True, kw_only=True)
class PermanentRefusal:
    """It will never succeed unless a setting changes, here or at the peer."""

    reason: str


Failure = TransientFailure | PermanentRefusal
Outcome = Sent | Failure
