"""Use cases: one function each, with its actor, permission, change and audit entry in one transaction."""

from service.application.actors import PERMITTED, Actor, ActorKind, ActorRole, NotPermitted, Operation
from service.application.jobs import JobDetails, cancel_job, rerun_job, retry_job, show_events, show_job

__all__ = [
    "PERMITTED",
    "Actor",
    "ActorKind",
    "ActorRole",
    "JobDetails",
    "NotPermitted",
    "Operation",
    "cancel_job",
    "rerun_job",
    "retry_job",
    "show_events",
    "show_job",
]
