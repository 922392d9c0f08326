"""Use cases: one function each, with its actor, permission, change and audit entry in one transaction."""

from service.application.actors import PERMITTED, Actor, ActorKind, ActorRole, NotPermitted, Operation
from service.application.jobs import (
    JobDetails,
    cancel_job,
    list_jobs,
    rerun_job,
    retry_job,
    show_events,
    show_job,
)
from service.application.trail import choose_default, prove_trail, read_trail, record_action

__all__ = [
    "PERMITTED",
    "Actor",
    "ActorKind",
    "ActorRole",
    "JobDetails",
    "NotPermitted",
    "Operation",
    "cancel_job",
    "choose_default",
    "list_jobs",
    "prove_trail",
    "read_trail",
    "record_action",
    "rerun_job",
    "retry_job",
    "show_events",
    "show_job",
]
