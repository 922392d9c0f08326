"""The store as people see it: lists, histories, and their commands."""

from collections.abc import Sequence

from service.store.database import Database
from service.store.rows import DeliveryStatus, JobEvent, JobStatus, StoredFile, StoredInstance
from service.store.states import JobState


class JobBook:
    """Read jobs and give orders about them; every order that is not possible raises NotAllowed."""

    def __init__(self, database: Database) -> None: ...

    def list_jobs(
        self, *, states: Sequence[JobState] = (), series_uid: str | None = None, limit: int = 100
    ) -> list[JobStatus]:
        """Give the newest jobs first; no states: every state."""
        raise NotImplementedError

    def job(self, job_id: int) -> JobStatus:
        """Give one job; raises NotAllowed when there is none with this number."""
        raise NotImplementedError

    def events(self, job_id: int) -> list[JobEvent]:
        """Give the job's history, oldest first."""
        raise NotImplementedError

    def deliveries(self, job_id: int) -> list[DeliveryStatus]:
        """Give the job's destinations and how they stand."""
        raise NotImplementedError

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Give the instances of the job, by SOP Instance UID."""
        raise NotImplementedError

    def instances_of_series(self, series_uid: str) -> list[StoredInstance]:
        """Give everything recorded of a series, CT or not, by SOP Instance UID."""
        raise NotImplementedError

    def result(self, job_id: int) -> StoredFile | None:
        """Give the job's structure set, if it has been written."""
        raise NotImplementedError

    def has_file(self, path: str) -> bool:
        """Tell whether a row names the file (for FileStore.recover)."""
        raise NotImplementedError

    def cancel(self, job_id: int, reason: str = "cancelled by hand") -> None:
        """Stop the job; its worker learns by its next heartbeat, deliveries not begun are withdrawn."""
        raise NotImplementedError

    def retry(self, job_id: int) -> JobState:
        """Give a failed, parked, refused or cancelled job another chance, with all its attempts.

        It goes on where it stood: delivering when the structure set is written, queued when it was sealed,
        otherwise received.
        """
        raise NotImplementedError

    def rerun(self, job_id: int) -> int:
        """Open a new version of a job that came to an end, with the same slices; return its number."""
        raise NotImplementedError
