"""The result of one poll of the node."""

from dataclasses import dataclass
from datetime import datetime

from service.config import Settings
from service.monitor.checks import HealthCheck
from service.monitor.echoes import EchoResult
from service.rules import HeldRules
from service.store import DiskRoom, QueueStatistics, RoleHeartbeat


@dataclass(frozen=True, kw_only=True)
class DatabaseStatus:
    """The part that comes from the database."""

    figures: QueueStatistics
    signs: tuple[RoleHeartbeat, ...]
    unsent: dict[str, int]  # notifications that wait, by recipient
    held_reason: str = ""  # why the node neither contours nor delivers
    clock_doubt: str = ""  # why the clock cannot be right
    rules: HeldRules | None = None
    rules_differ: str = ""  # that the settings file's rules were changed but are not active; empty if not so


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """One poll. ``database_status`` and ``disk`` are None if the database or the disk did not answer."""

    at: datetime
    checks: tuple[HealthCheck, ...]
    database_status: DatabaseStatus | None
    disk: DiskRoom | None
    echoes: tuple[EchoResult, ...]

    @property
    def is_ready(self) -> bool:
        """Tell whether every required check passes."""
        return all(check.ok for check in self.checks if check.needed)

    def ruled(self, settings: Settings) -> Settings:
        """Return the node's settings with the rules that were active at this look, as far as that is known."""
        held = None if self.database_status is None else self.database_status.rules
        return settings if held is None else held.settings

    def check(self, name: str) -> HealthCheck:
        """Return one of the checks."""
        return next(check for check in self.checks if check.name == name)
