"""The way to one destination, whatever its kind: send an object, and ask whether it is kept."""

from pathlib import Path
from typing import Protocol

from service.config import Confirm, Destination
from service.errors import Refused, TryAgain
from service.scu.outcome import Outcome, PermanentRefusal, TransientFailure
from service.send.confirmation import Committed, Confirmation
from service.store import ClaimedDelivery
from service.store.objects import ObjectStore, file_in_memory, read_artifact


class Transport(Protocol):
    """One destination's protocol: DIMSE or DICOMweb. Both methods read the object from a file in memory."""

    def store(self, path: Path) -> Outcome:
        """Send the object of a file; return what the destination said to it."""

    def confirm(self, claim: ClaimedDelivery, path: Path) -> Confirmation:
        """Return what the destination says of an object that it took."""


def attempt(
    claim: ClaimedDelivery, destination: Destination, transport: Transport, objects: ObjectStore
) -> Outcome | Confirmation:
    """Send the object of a delivery, or ask about one that was sent; every failure is a value."""
    if claim.is_sent and destination.confirm is Confirm.NONE:  # the settings have changed since it was sent
        return Committed(how="not asked any more: the settings say confirm = none")
    try:
        with file_in_memory(read_artifact(objects, claim.result)) as path:
            return transport.confirm(claim, path) if claim.is_sent else transport.store(path)
    except TryAgain as error:  # of objects or database
        return TransientFailure(reason=str(error))
    except OSError as error:
        return TransientFailure(reason=f"the object's file cannot be read: {error.strerror}")
    except Refused as error:
        return PermanentRefusal(reason=str(error))
