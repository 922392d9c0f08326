"""What follows each attempt at one destination: the number of attempts, the delays between them, and giving up."""

import random
from dataclasses import dataclass
from typing import Self

from service.config import AdvancedSettings, Confirm, Destination, SendSettings
from service.scu.outcome import Outcome, PermanentRefusal, Sent, TransientFailure
from service.send.confirmation import Committed, Confirmation, NotStored, Unconfirmed
from service.store import ClaimedDelivery, Outbox

_MOST_DOUBLINGS = 60


@dataclass(frozen=True, kw_only=True)
class DeliveryPolicy:
    """The settings of one destination, with all defaults filled in."""

    timeout_s: float
    max_attempts: int
    backoff_s: float
    backoff_max_s: float
    confirm: Confirm
    confirm_s: float
    confirm_attempts: int

    @classmethod
    def of(cls, destination: Destination | None, settings: SendSettings, advanced: AdvancedSettings) -> Self:
        """Return the policy of a destination; for one no longer in the settings, the defaults of all destinations."""
        known = Destination() if destination is None else destination
        return cls(
            timeout_s=_first(known.timeout_s, settings.timeout_s),
            max_attempts=int(_first(known.max_attempts, settings.max_attempts)),
            backoff_s=advanced.delivery_backoff_s,
            backoff_max_s=advanced.delivery_backoff_max_s,
            confirm=known.confirm,
            confirm_s=known.confirm_s,
            confirm_attempts=known.confirm_attempts,
        )

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Return the delay after the failed ``attempt`` (1 for the first).

        The delay doubles up to ``backoff_max_s``; a random part of up to a quarter is subtracted, so that many
        deliveries are not all retried at the same moment.
        """
        doubled = self.backoff_s * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)
        return min(doubled, self.backoff_max_s) * rng.uniform(0.75, 1.0)

    def record(
        self, outbox: Outbox, claim: ClaimedDelivery, result: Outcome | Confirmation, rng: random.Random
    ) -> bool:
        """Record an attempt's outcome and the next step; return False if this process no longer holds the lease."""
        match result:
            case Sent(note=note):
                awaits_confirmation = self.confirm is not Confirm.NONE
                return outbox.sent(claim, note=note, is_confirmed_later=awaits_confirmation)
            case Committed(how=how):
                return outbox.confirmed(claim, how=how)
            case PermanentRefusal(reason=reason):
                return outbox.rejected(claim, reason=reason)
            case Unconfirmed(reason=reason):
                return outbox.unconfirmed(
                    claim, reason=reason, max_asks=self.confirm_attempts, delay_s=self.confirm_s
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
        delay_s, limit = self.delay_s(claim.attempt, rng), self.max_attempts
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


def _first(own: float | None, of_all: float) -> float:
    return of_all if own is None else own
