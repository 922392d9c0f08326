"""What came of a request to a peer, sorted by what happens next."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The peer has it; ``note`` is what it warned of, or empty."""

    note: str = ""


@dataclass(frozen=True, kw_only=True)
class TransientFailure:
    """Not now; another attempt may succeed."""

    reason: str
    is_unreachable: bool = False  # nobody answered: whatever is sent there meets the same
    retry_after_s: float | None = None  # what the peer asked for


@dataclass(frozen=True, kw_only=True)
class PermanentRefusal:
    """Never, unless somebody changes a setting here or there."""

    reason: str


Failure = TransientFailure | PermanentRefusal
Outcome = Sent | Failure
