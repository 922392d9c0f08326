"""The store as the room `send` sees it: deliveries."""

from service.store.database import Database
from service.store.rows import ClaimedDelivery


class Outbox:
    """Structure sets to be sent. Every write returns False, and changes nothing, when the lease is lost."""

    def __init__(self, database: Database) -> None: ...

    def claim_delivery(self, sender: str, *, lease_s: float) -> ClaimedDelivery | None:
        """Take the delivery that is due longest, of the most urgent job; or one whose sender went away."""
        raise NotImplementedError

    def heartbeat(self, claim: ClaimedDelivery, *, lease_s: float) -> bool:
        """Prolong the lease; False: the delivery is somebody else's."""
        raise NotImplementedError

    def sent(self, claim: ClaimedDelivery) -> bool:
        """Record the destination's success; the job is done when it was the last one."""
        raise NotImplementedError

    def retry_later(self, claim: ClaimedDelivery, *, reason: str, max_attempts: int, delay_s: float) -> bool:
        """Try again after delay_s, or park the delivery after the last attempt."""
        raise NotImplementedError

    def rejected(self, claim: ClaimedDelivery, *, reason: str) -> bool:
        """Never try again: the destination refused for good. The job is parked once no other is under way."""
        raise NotImplementedError
