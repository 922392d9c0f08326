"""Use cases: one function each, with its actor, permission, change and audit entry in one transaction."""

from service.application.actors import PERMITTED, Actor, ActorKind, ActorRole, NotPermitted, Operation
from service.application.backups import back_up, restore_backup
from service.application.jobs import (
    JobDetails,
    cancel_job,
    list_jobs,
    rerun_job,
    retry_job,
    show_events,
    show_job,
)
from service.application.recovery import RecoveryQuestion, decide_recovery, recovery_question
from service.application.trail import choose_default, prove_trail, read_trail, record_action
from service.application.upkeep import accept_clock, find_series, forget_all, would_forget

__all__ = [
    "PERMITTED",
    "Actor",
    "ActorKind",
    "ActorRole",
    "JobDetails",
    "NotPermitted",
    "Operation",
    "RecoveryQuestion",
    "accept_clock",
    "back_up",
    "cancel_job",
    "choose_default",
    "decide_recovery",
    "find_series",
    "forget_all",
    "list_jobs",
    "prove_trail",
    "read_trail",
    "record_action",
    "recovery_question",
    "rerun_job",
    "restore_backup",
    "retry_job",
    "show_events",
    "show_job",
    "would_forget",
]
