"""Who acts in tests, and the changes that this person makes to the jobs of a node."""

from dataclasses import dataclass, replace

from service.application import (
    Actor,
    ActorKind,
    ActorRole,
    Copies,
    cancel_job,
    prioritise_job,
    rerun_job,
    resend_job,
    retry_job,
)
from service.config import Settings
from service.store import Database, JobState, Wanted

OPERATOR = Actor(kind=ActorKind.PERSON, name="physicist on call", role=ActorRole.OPERATOR, entry="cli")

ADMINISTRATOR = replace(OPERATOR, name="administrator", role=ActorRole.ADMIN)


@dataclass(frozen=True)
class JobChanges:
    """The use cases that change jobs of one node, by this person."""

    database: Database

    def cancel(self, job_id: int, reason: str = "cancelled by hand") -> None:
        cancel_job(self.database, OPERATOR, job_id, reason=reason)

    def retry(self, job_id: int) -> JobState:
        return retry_job(self.database, OPERATOR, job_id)

    def rerun(self, job_id: int, **wanted: str) -> int:
        return rerun_job(self.database, OPERATOR, job_id, Wanted(**wanted))

    def prioritise(self, job_id: int, priority: int) -> int:
        return prioritise_job(self.database, OPERATOR, job_id, priority)

    def resend(self, job_id: int, destination: str, settings: Settings) -> Copies:
        return resend_job(self.database, OPERATOR, job_id, destination, settings)
