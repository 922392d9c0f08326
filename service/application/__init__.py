"""Use cases: one function each, with its actor, permission, change and audit entry in one transaction."""

from service.application.actors import (
    PERMITTED,
    Actor,
    ActorKind,
    ActorRole,
    NotPermitted,
    Operation,
    require_permission,
)
from service.application.backups import back_up, restore_backup
from service.application.job_changes import (
    HIGHEST_PRIORITY,
    Copies,
    cancel_job,
    checked_wanted,
    prioritise_job,
    rerun_job,
    resend_job,
    retry_job,
)
from service.application.jobs import (
    JobDetails,
    list_jobs,
    search_jobs,
    show_events,
    show_job,
)
from service.application.people import (
    Person,
    change_person,
    invite_person,
    list_people,
    new_secret,
    secret_sha256,
    set_password,
    unlock_person,
)
from service.application.recovery import RecoveryQuestion, decide_recovery, recovery_question
from service.application.trail import change_models, prove_trail, read_trail, record_action
from service.application.upkeep import accept_clock, find_series, forget_all, would_forget
from service.store.web.accounts import LINK_LASTS

__all__ = [
    "HIGHEST_PRIORITY",
    "LINK_LASTS",
    "PERMITTED",
    "Actor",
    "ActorKind",
    "ActorRole",
    "Copies",
    "JobDetails",
    "NotPermitted",
    "Operation",
    "Person",
    "RecoveryQuestion",
    "accept_clock",
    "back_up",
    "cancel_job",
    "change_models",
    "change_person",
    "checked_wanted",
    "decide_recovery",
    "find_series",
    "forget_all",
    "invite_person",
    "list_jobs",
    "list_people",
    "new_secret",
    "prioritise_job",
    "prove_trail",
    "read_trail",
    "record_action",
    "recovery_question",
    "require_permission",
    "rerun_job",
    "resend_job",
    "restore_backup",
    "retry_job",
    "search_jobs",
    "secret_sha256",
    "set_password",
    "show_events",
    "show_job",
    "unlock_person",
    "would_forget",
]
