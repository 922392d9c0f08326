"""The way out of one object: by DIMSE or by DICOMweb, whatever kind its destination is."""

from dataclasses import dataclass
from pathlib import Path

from service.config import Destination, Peer, SendSettings, WebDestination
from service.errors import Refused, TryAgain
from service.scu.client import Scu
from service.scu.outcome import Outcome, PermanentRefusal, TransientFailure
from service.send.confirmation import Confirmation, ConfirmationRequest, confirmation
from service.send.delivery_policy import terms_of
from service.send.stow import stow
from service.store import ClaimedDelivery, FileStore, Outbox, StorageUnavailable


@dataclass(frozen=True, kw_only=True)
class Transport:
    """Sends objects and asks about them. Safe to use from many threads."""

    outbox: Outbox
    files: FileStore
    settings: SendSettings

    def store(self, claim: ClaimedDelivery, destination: Destination) -> Outcome:
        """Returns what the destination said to the object."""
        try:
            with self.files.open(claim.result.path) as file:
                return self._sent(Path(file.name), destination)
        except StorageUnavailable as error:
            return TransientFailure(reason=str(error))
        except Refused as error:
            return PermanentRefusal(reason=str(error))

    def ask(self, claim: ClaimedDelivery, destination: Destination) -> Confirmation:
        """Returns what the destination says of an object that it took."""
        try:
            with self.files.open(claim.result.path) as file:
                timeout_s = terms_of(destination, self.settings).timeout_s
                path = Path(file.name)
                inquiry = ConfirmationRequest(
                    claim=claim, destination=destination, path=path, timeout_s=timeout_s
                )
                return confirmation(inquiry, self._scu(destination), self.outbox)
        except TryAgain as error:  # of files or database
            return TransientFailure(reason=str(error))
        except OSError as error:
            return TransientFailure(reason=f"the object's file cannot be read: {error.strerror}")
        except Refused as error:
            return PermanentRefusal(reason=str(error))

    def _sent(self, path: Path, destination: Destination) -> Outcome:
        if isinstance(destination, WebDestination):
            return stow(destination, path, timeout_s=terms_of(destination, self.settings).timeout_s)
        if isinstance(destination, Peer):
            return self._scu(destination).store(path, destination)
        raise AssertionError(f"no way out is known for a {type(destination).__name__}")

    def _scu(self, destination: Destination) -> Scu:
        timeout_s = terms_of(destination, self.settings).timeout_s
        return Scu(calling_aet=self.settings.ae_title, timeout_s=timeout_s)
