"""Whether a destination has an object that it accepted: three outcomes, each with its own next step."""

from dataclasses import dataclass

from service.scu.outcome import Failure, PermanentRefusal


@dataclass(frozen=True, kw_only=True)
class Committed:
    """The destination confirms that it has the object."""

    how: str


@dataclass(frozen=True, kw_only=True)
class Unconfirmed:
    """The destination was asked and has not confirmed it."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class NotStored:
    """The destination says that it does not have the object: send it again."""

    reason: str


Confirmation = Committed | Unconfirmed | NotStored | Failure


def confirmed_by_search(found: bool | Failure) -> Confirmation:  # noqa: FBT001 - what a search found
    """Return the confirmation that a search for the object (C-FIND or QIDO-RS) amounts to."""
    if not isinstance(found, bool):
        return not_confirmable(found)
    if found:
        return Committed(how="it finds the object")
    return Unconfirmed(reason="it took the object but does not find it")


def not_confirmable(failure: Failure) -> Failure:
    """Return a failed confirmation request; if it can never succeed, the reason says that the object was taken."""
    if isinstance(failure, PermanentRefusal):
        return PermanentRefusal(
            reason=f"it took the object but cannot be asked to confirm it: {failure.reason}"
        )
    return failure
