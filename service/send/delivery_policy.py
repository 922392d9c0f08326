"""How often and how long one destination is tried: its own settings, or what holds for all."""

from dataclasses import dataclass

from service.config import Confirm, Destination, SendSettings


@dataclass(frozen=True, kw_only=True)
class DeliveryPolicy:
    """The settings of one destination, with nothing left open."""

    timeout_s: float
    max_attempts: int
    backoff_s: float
    backoff_max_s: float
    confirm: Confirm
    confirm_s: float
    confirm_attempts: int


def terms_of(destination: Destination | None, settings: SendSettings) -> DeliveryPolicy:
    """Returns the terms of a destination; of one that is not in the settings any more, those of all."""
    known = Destination() if destination is None else destination
    return DeliveryPolicy(
        timeout_s=_first(known.timeout_s, settings.timeout_s),
        max_attempts=int(_first(known.max_attempts, settings.max_attempts)),
        backoff_s=_first(known.backoff_s, settings.backoff_s),
        backoff_max_s=_first(known.backoff_max_s, settings.backoff_max_s),
        confirm=known.confirm,
        confirm_s=known.confirm_s,
        confirm_attempts=known.confirm_attempts,
    )


def _first(own: float | None, of_all: float) -> float:
    return of_all if own is None else own
