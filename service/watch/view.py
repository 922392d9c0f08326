"""What was seen in one look at the node."""

from dataclasses import dataclass
from datetime import datetime

from service.store import DiskRoom, Figures, SignOfLife
from service.watch.checks import Check
from service.watch.echoes import Echo


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """What the database said."""

    figures: Figures
    signs: tuple[SignOfLife, ...]
    unsent: dict[str, int]  # notices that wait, by recipient


@dataclass(frozen=True, kw_only=True)
class View:
    """One look. ``ledger`` and ``disk`` are None where the database or the disk did not answer."""

    at: datetime
    checks: tuple[Check, ...]
    ledger: Ledger | None
    disk: DiskRoom | None
    echoes: tuple[Echo, ...]

    @property
    def is_ready(self) -> bool:
        """Tell whether everything that the node needs is as it should be."""
        return all(check.ok for check in self.checks if check.needed)

    def check(self, name: str) -> Check:
        """Give one of the checks."""
        return next(check for check in self.checks if check.name == name)
