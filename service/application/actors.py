"""The actors of the node, and which role permits which action."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from service.errors import Refused


class ActorKind(StrEnum):
    """What an actor is."""

    PERSON = "person"
    SERVICE = "service"  # another program, with its own account


class ActorRole(StrEnum):
    """What an actor may do, from least to most."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    PHYSICIST = "physicist"
    ADMIN = "admin"


class Operation(StrEnum):
    """Operations; the audit trail and the command line use the same word."""

    SHOW = "show"
    EVENTS = "events"
    RETRY = "retry"
    RERUN = "rerun"
    CANCEL = "cancel"
    PRIORITY = "priority"
    RESEND = "resend"
    SEND_NOW = "send now"
    JOBS = "jobs"
    AUDIT = "audit"
    VERIFY = "verify"
    RETENTION = "retention --dry-run"
    DEIDENTIFY = "deidentify"
    REIDENTIFY = "reidentify"
    MODELS_DEFAULT = "models default"
    RECOVERY = "recovery"
    RECOVER = "recover"
    BACKUP = "backup"
    RESTORE = "restore"
    FORGET = "forget"
    ACCEPT_CLOCK = "accept clock"
    MODELS_IMPORT = "models import"
    MODELS_REMOVE = "models remove"
    MODELS_CALIBRATE = "models calibrate"
    VIEW_IMAGES = "view images"
    ECHO = "echo"
    PEOPLE = "people"
    INVITE = "invite"
    CHANGE_USER = "change user"
    UNLOCK_USER = "unlock user"
    TOKENS = "tokens"
    RULES = "rules"
    RULES_DRAFT = "rules draft"
    RULES_DISCARD = "rules discard"
    RULES_ACTIVATE = "rules activate"
    RULES_ROLLBACK = "rules rollback"
    DICOMWEB_READ = "dicomweb read"
    DICOMWEB_STORE = "dicomweb store"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A person or a program that uses the node, as the audit trail names it."""

    kind: ActorKind
    name: str  # the account
    role: ActorRole
    entry: str  # the part of the node through which the action came: "cli"
    address: str = ""  # the host that the action came from; empty: this host
    detail: str = ""  # on whose behalf, if known
    sees_patients: bool = True  # names, IDs and dates of birth
    operations: frozenset[Operation] | None = (
        None  # operations that its token is limited to; None: all that the role permits
    )


class NotPermitted(Refused):
    """The actor's role does not permit the action."""


_EVERY_ROLE = frozenset(ActorRole)
_MAY_CHANGE_JOBS = _EVERY_ROLE - {ActorRole.VIEWER}
_MAY_ADMINISTER = frozenset({ActorRole.ADMIN})
_MAY_READ_THE_TRAIL = frozenset({ActorRole.PHYSICIST, ActorRole.ADMIN})
_PHYSICIST_AND_ADMIN = frozenset({ActorRole.PHYSICIST, ActorRole.ADMIN})
_MAY_CHANGE_PEOPLE = frozenset({ActorRole.ADMIN})

PERMITTED: Mapping[Operation, frozenset[ActorRole]] = {
    Operation.SHOW: _EVERY_ROLE,
    Operation.EVENTS: _EVERY_ROLE,
    Operation.RETRY: _MAY_CHANGE_JOBS,
    Operation.RERUN: _MAY_CHANGE_JOBS,
    Operation.CANCEL: _MAY_CHANGE_JOBS,
    Operation.PRIORITY: _MAY_CHANGE_JOBS,
    Operation.RESEND: _MAY_CHANGE_JOBS,
    Operation.SEND_NOW: _MAY_CHANGE_JOBS,
    Operation.JOBS: _EVERY_ROLE,
    Operation.AUDIT: _PHYSICIST_AND_ADMIN,
    Operation.VERIFY: _EVERY_ROLE,
    Operation.RETENTION: _EVERY_ROLE,
    Operation.DEIDENTIFY: _MAY_CHANGE_JOBS,
    Operation.REIDENTIFY: _MAY_CHANGE_JOBS,
    Operation.MODELS_DEFAULT: _MAY_CHANGE_JOBS,
    Operation.RECOVERY: _EVERY_ROLE,
    Operation.RECOVER: _MAY_ADMINISTER,
    Operation.BACKUP: _MAY_ADMINISTER,
    Operation.RESTORE: _MAY_ADMINISTER,
    Operation.FORGET: _MAY_ADMINISTER,
    Operation.ACCEPT_CLOCK: _MAY_ADMINISTER,
    Operation.MODELS_IMPORT: _PHYSICIST_AND_ADMIN,
    Operation.MODELS_REMOVE: _PHYSICIST_AND_ADMIN,
    Operation.MODELS_CALIBRATE: _PHYSICIST_AND_ADMIN,
    Operation.VIEW_IMAGES: _EVERY_ROLE,
    Operation.ECHO: _MAY_CHANGE_JOBS,
    Operation.PEOPLE: _MAY_CHANGE_PEOPLE,
    Operation.INVITE: _MAY_CHANGE_PEOPLE,
    Operation.CHANGE_USER: _MAY_CHANGE_PEOPLE,
    Operation.UNLOCK_USER: _MAY_CHANGE_PEOPLE,
    Operation.TOKENS: _MAY_CHANGE_PEOPLE,
    Operation.RULES: _PHYSICIST_AND_ADMIN,
    Operation.RULES_DRAFT: _PHYSICIST_AND_ADMIN,
    Operation.RULES_DISCARD: _PHYSICIST_AND_ADMIN,
    Operation.RULES_ACTIVATE: _PHYSICIST_AND_ADMIN,
    Operation.RULES_ROLLBACK: _PHYSICIST_AND_ADMIN,
    Operation.DICOMWEB_READ: _EVERY_ROLE,
    Operation.DICOMWEB_STORE: _MAY_CHANGE_JOBS,
}


def require_patients(actor: Actor, what: str) -> None:
    """Return if the actor may see patients.

    Raises:
        NotPermitted: it may not; the message says what it asked for.
    """
    if not actor.sees_patients:
        raise NotPermitted(f"{what}; {actor.name} may not see patients")


def require_permission(actor: Actor, action: Operation) -> None:
    """Return if the actor's role, and the scopes of its token, permit the action.

    Raises:
        NotPermitted: they do not; the message names the roles that do.
    """
    if actor.operations is not None and action not in actor.operations:
        raise NotPermitted(f"the token's scopes do not permit {action}; use a token that has the scope")
    if actor.role not in PERMITTED[action]:
        allowed = ", ".join(role.value for role in ActorRole if role in PERMITTED[action])
        raise NotPermitted(f"{actor.name} is {actor.role} and may not {action}; one of these may: {allowed}")
