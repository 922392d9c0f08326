"""Whether a destination keeps what it took, in the three words that decide what follows."""

from dataclasses import dataclass

from service.scu.outcome import Failure, PermanentRefusal


@dataclass(frozen=True, kw_only=True)
class Committed:
    """The destination says that it keeps the object."""

    how: str


@dataclass(frozen=True, kw_only=True)
class Unconfirmed:
    """The destination was asked and has not said so."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class NotStored:
    """The destination says that it does not have the object: send it again."""

    reason: str


Confirmation = Committed | Unconfirmed | NotStored | Failure


def confirmed_by_search(found: bool | Failure) -> Confirmation:  # noqa: FBT001 - what a search found
    """Return what a search for the object says: C-FIND or QIDO-RS."""
    if not isinstance(found, bool):
        return not_confirmable(found)
    if found:
        return Committed(how="it finds the object")
    return Unconfirmed(reason="it took the object and does not find it")


def not_confirmable(failure: Failure) -> Failure:
    """Return a failed question; where it can never be asked, with the reason that the object was taken."""
    if isinstance(failure, PermanentRefusal):
        return PermanentRefusal(
            reason=f"it took the object and cannot be asked whether it keeps it: {failure.reason}"
        )
    return failure
