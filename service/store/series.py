"""The store as the room `assemble` sees it: series that grow into jobs."""

from service.store.database import Database
from service.store.rows import OpenJob, StoredInstance
from service.store.states import Sealed


class SeriesDesk:
    """Open jobs, and what can be done with them."""

    def __init__(self, database: Database) -> None: ...

    def open_jobs(self) -> list[OpenJob]:
        """Give the jobs in state received or waiting, oldest first."""
        raise NotImplementedError

    def instances_of(self, job_id: int) -> list[StoredInstance]:
        """Give the instances of this version of the job, by SOP Instance UID; the same for ever once sealed."""
        raise NotImplementedError

    def hold(self, job_id: int, reason: str) -> bool:
        """Say what the job waits for (state waiting); an event only when the reason is another."""
        raise NotImplementedError

    def seal(self, job: OpenJob, *, rule: str, model: str, model_version: int, priority: int) -> Sealed:
        """Queue the job with exactly the slices that `job` was seen with.

        CHANGED: a slice came or the state moved meanwhile, look again. ALREADY_CONTOURED: the same images were
        contoured for the same sender by the same rule and model; the job is now superseded by that one.
        """
        raise NotImplementedError

    def refuse(self, job_id: int, reason: str) -> bool:
        """End the job with the reason in plain words."""
        raise NotImplementedError
