"""Times that no clinic should need to touch; tests and load experiments do."""

from typing import Annotated

from pydantic import Field

from service.config.section import SettingsSection
from service.config.values import Delay


class AdvancedSettings(SettingsSection):
    """Polls, leases and backoffs."""

    poll_s: Annotated[float, Field(ge=0.01, le=60)] = Field(
        default=1, description="Time between two polls of assemble, work, send and forward-audit."
    )
    job_lease_s: Annotated[float, Field(ge=0.4, le=3600)] = Field(
        default=60,
        description="A worker without a heartbeat for this long loses its job to another; its heartbeat comes every quarter of it.",
    )
    job_backoff_s: Delay = Field(
        default=30, description="Delay after a job's first failed attempt; doubles with each further one."
    )
    job_backoff_max_s: Delay = Field(default=3600, description="Longest delay between two attempts of a job.")
    unavailable_delay_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=15, description="Delay before a job that found no inference server is tried again."
    )
    delivery_lease_s: Annotated[float, Field(ge=1, le=86400)] = Field(
        default=300, description="A sender that gave no result for this long loses its delivery to another."
    )
    delivery_backoff_s: Delay = Field(
        default=15,
        description="Delay after a delivery's first failed attempt; doubles with each further one.",
    )
    delivery_backoff_max_s: Delay = Field(
        default=1800, description="Longest delay between two attempts of a delivery."
    )
    monitor_poll_s: Annotated[float, Field(ge=0.05, le=300)] = Field(
        default=10,
        description="Time between two polls of the role monitor; at most advanced.silent_s.",
    )
    silent_s: Annotated[float, Field(ge=0.4, le=3600)] = Field(
        default=60,
        description="A role without a heartbeat for this long is down; its heartbeat comes every quarter of it.",
    )
    database_busy_timeout_s: Annotated[float, Field(ge=1, le=300)] = Field(
        default=30, description="How long a writer waits for a locked SQLite file."
    )

    @property
    def job_heartbeat_s(self) -> float:
        """Time between two heartbeats of a running job, in seconds."""
        return self.job_lease_s / 4

    @property
    def role_heartbeat_s(self) -> float:
        """Time between two heartbeats of a role, in seconds."""
        return self.silent_s / 4
