"""How long to wait before a destination is tried again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Doubling delays with jitter, so that many waiting deliveries do not come back at one moment."""

    first_s: float
    longest_s: float

    def delay_s(self, attempt: int, chance: random.Random) -> float:
        """Returns the delay after the failed ``attempt`` (1 for the first): the doubled one, less up to a quarter."""
        doubled = self.first_s * 2.0 ** min(attempt - 1, 60)
        return min(doubled, self.longest_s) * chance.uniform(0.75, 1.0)
