"""The interface to one destination of any kind: send an object, and ask for its confirmation."""

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
        """Send the object of a file; return the outcome."""

    def confirm(self, claim: ClaimedDelivery, path: Path) -> Confirmation:
        """Ask the destination to confirm an object that it took."""


def attempt(
    claim: ClaimedDelivery, destination: Destination, transport: Transport, objects: ObjectStore
) -> Outcome | Confirmation:
    """Send a delivery's object, or ask for its confirmation if it was sent; failures are returned, not raised."""
    if claim.is_sent and destination.confirm is Confirm.NONE:  # the settings have changed since it was sent
        return Committed(how="no longer asked: the settings now say confirm = none")
    try:
        with file_in_memory(read_artifact(objects, claim.result)) as path:
            return transport.confirm(claim, path) if claim.is_sent else transport.store(path)
    except TryAgain as error:  # raised by object store or database
        return TransientFailure(reason=str(error))
    except OSError as error:
        return TransientFailure(reason=f"the object's file cannot be read: {error.strerror}")
    except Refused as error:
        return PermanentRefusal(reason=str(error))
