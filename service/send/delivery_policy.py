"""What follows each attempt at one destination: the number of attempts, the delays between them, and giving up."""

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
    """The settings of one destination, and those of all destinations."""

    destination: Destination
    times: AdvancedSettings

    @classmethod
    def of(cls, destination: Destination | None, times: AdvancedSettings) -> Self:
        """Return the policy of a destination; for one no longer in the settings, the defaults."""
        return cls(destination=Destination() if destination is None else destination, times=times)

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Return the delay after the failed ``attempt`` (1 for the first).

        A random part of up to a quarter is subtracted, so that many deliveries are not all retried at once.
        """
        return self.times.delivery_delay_s(attempt) * rng.uniform(0.75, 1.0)

    def record(
        self, outbox: Outbox, claim: ClaimedDelivery, result: Outcome | Confirmation, rng: random.Random
    ) -> bool:
        """Record an attempt's outcome and the next step; return False if this process no longer holds the lease."""
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
