"""What follows each attempt at one destination: how often it is tried, after which delays, and when it has failed."""

import random
from dataclasses import dataclass
from typing import Self

from service.config import AdvancedSettings, Confirm, Destination
from service.scu.outcome import Outcome, PermanentRefusal, Sent, TransientFailure
from service.send.confirmation import Committed, Confirmation, NotStored, Unconfirmed
from service.store import ClaimedDelivery, Outbox

MOST_ASKS = 12  # of a peer that has not confirmed


@dataclass(frozen=True, kw_only=True)
class DeliveryPolicy:
    """What the settings say of one destination, and of all."""

    destination: Destination
    times: AdvancedSettings

    @classmethod
    def of(cls, destination: Destination | None, times: AdvancedSettings) -> Self:
        """Return the policy of a destination; of one that left the settings, that of one without keys of its own."""
        return cls(destination=Destination() if destination is None else destination, times=times)

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Return the delay after the failed ``attempt`` (1 for the first).

        Up to a quarter is taken off at random, so that many deliveries do not come back in one moment.
        """
        return self.times.delivery_delay_s(attempt) * rng.uniform(0.75, 1.0)

    def record(
        self, outbox: Outbox, claim: ClaimedDelivery, result: Outcome | Confirmation, rng: random.Random
    ) -> bool:
        """Write what an attempt came to and what follows; False where the delivery is no longer this sender's."""
        match result:
            case Sent(note=note):
                awaits_confirmation = self.destination.confirm is not Confirm.NONE
                return outbox.sent(claim, note=note, is_confirmed_later=awaits_confirmation)
            case Committed(how=how):
                return outbox.confirmed(claim, how=how)
            case PermanentRefusal(reason=reason):
                return outbox.rejected(claim, reason=reason)
            case Unconfirmed(reason=reason):
                return outbox.unconfirmed(
                    claim, reason=reason, max_asks=MOST_ASKS, delay_s=self.destination.confirm_s
                )
            case NotStored() | TransientFailure():
                return self._retry(outbox, claim, result, rng)

    def _retry(
        self,
        outbox: Outbox,
        claim: ClaimedDelivery,
        failure: NotStored | TransientFailure,
        rng: random.Random,
    ) -> bool:
        delay_s, limit = self.delay_s(claim.attempt, rng), self.destination.max_attempts
        if isinstance(failure, NotStored):
            return outbox.retry_later(claim, reason=failure.reason, max_attempts=limit, delay_s=delay_s)
        delay_s = max(delay_s, failure.retry_after_s or 0.0)
        if claim.is_sent:
            return outbox.not_asked(claim, reason=failure.reason, max_attempts=limit, delay_s=delay_s)
        return outbox.retry_later(
            claim,
            reason=failure.reason,
            max_attempts=limit,
            delay_s=delay_s,
            unreachable=failure.is_unreachable,
        )
