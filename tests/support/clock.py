"""A clock that stands still until a test moves it."""

from datetime import UTC, datetime, timedelta


class ManualClock:
    def __init__(self, now: datetime = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)) -> None:
        self.now = now
        self.passed_s = 1000.0

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)
        self.passed_s += seconds
        return self.now

    def step(self, seconds: float) -> datetime:
        """Set the clock, while no time passes."""
        self.now += timedelta(seconds=seconds)
        return self.now

    def monotonic(self) -> float:
        return self.passed_s
