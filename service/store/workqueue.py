"""The store as the room `work` sees it: queued jobs, leases and results."""

from collections.abc import Sequence

from service.store.database import Database
from service.store.rows import ClaimedJob, StoredFile, StoredInstance


class WorkQueue:
    """Jobs to be contoured. Every write returns False, and changes nothing, when the lease is lost."""

    def __init__(self, database: Database) -> None: ...

    def claim(self, worker: str, *, lease_s: float, max_attempts: int) -> ClaimedJob | None:
        """Take the most urgent job that is due (priority, then age), or one whose worker gave no sign of life.

        A job whose workers vanished max_attempts times is parked instead of handed out.
        """
        raise NotImplementedError

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Give the instances of the job, by SOP Instance UID."""
        raise NotImplementedError

    def heartbeat(self, claim: ClaimedJob, *, lease_s: float) -> bool:
        """Prolong the lease; False: stop, the job is somebody else's, cancelled or superseded."""
        raise NotImplementedError

    def stage(self, claim: ClaimedJob, stage: str) -> bool:
        """Say what the worker does now."""
        raise NotImplementedError

    def finish(self, claim: ClaimedJob, *, result: StoredFile, destinations: Sequence[str]) -> bool:
        """Record the structure set and one delivery a destination; the job is then delivering."""
        raise NotImplementedError

    def postpone(self, claim: ClaimedJob, *, reason: str, delay_s: float) -> bool:
        """Queue the job again for later (TryAgain); the attempt does not count."""
        raise NotImplementedError

    def fail(self, claim: ClaimedJob, *, reason: str, max_attempts: int, delay_s: float) -> bool:
        """Count the attempt as failed: state failed, claimable after delay_s, or parked after the last."""
        raise NotImplementedError

    def refuse(self, claim: ClaimedJob, *, reason: str) -> bool:
        """End the job with the reason in plain words (Refused)."""
        raise NotImplementedError
