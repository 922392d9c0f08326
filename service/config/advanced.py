"""Times that no clinic should need to change; tests and load experiments do. Other times are derived from them."""

from typing import Annotated

from pydantic import Field

from service.config.section import SettingsSection
from service.config.values import Delay

_LONGEST_DELAY = 120  # times the first one
_MOST_DOUBLINGS = 60


class AdvancedSettings(SettingsSection):
    """Polls, leases and backoffs."""

    poll_s: Annotated[float, Field(ge=0.01, le=60)] = Field(
        default=1,
        description="Time between two polls of assemble, work, send and forward-audit; monitor takes ten times as long.",
    )
    silent_s: Annotated[float, Field(ge=0.4, le=3600)] = Field(
        default=60,
        description="A role without a heartbeat for this long is down, and its job or deliveries go to another; a heartbeat comes every quarter of it.",
    )
    backoff_s: Delay = Field(
        default=15,
        description="Delay after a delivery's first failed attempt; doubles with each further one, up to 120 times. A job waits twice as long.",
    )

    @property
    def heartbeat_s(self) -> float:
        """Time between two heartbeats of a role or a running job, in seconds."""
        return self.silent_s / 4

    @property
    def monitor_poll_s(self) -> float:
        """Time between two polls of the role monitor, in seconds."""
        return min(10 * self.poll_s, self.silent_s)

    @property
    def database_busy_timeout_s(self) -> float:
        """How long a writer waits for a locked SQLite file, in seconds: no longer than a heartbeat may be late."""
        return self.silent_s / 2

    def delivery_delay_s(self, attempt: int) -> float:
        """Return the delay after a delivery's failed ``attempt`` (1 for the first), in seconds."""
        return self.backoff_s * min(2.0 ** min(attempt - 1, _MOST_DOUBLINGS), _LONGEST_DELAY)

    def job_delay_s(self, attempt: int) -> float:
        """Return the delay after a job's failed ``attempt`` (1 for the first), in seconds."""
        return 2 * self.delivery_delay_s(attempt)
