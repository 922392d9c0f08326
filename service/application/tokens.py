"""The use cases of API tokens: create, revoke and list them, and look up what each permits."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from service.application.actors import Actor, ActorKind, ActorRole, Operation
from service.application.audited import perform
from service.application.people import new_secret, secret_sha256
from service.errors import Refused
from service.store import Database, Transaction
from service.store.web.tokens import ApiToken, NewToken, all_tokens, end_token, find_token, make_token

BEGINS_WITH = "cn_"
TRAIL_PREFIX = "token "
"""The prefix of a token's name in the audit trail."""
LONGEST_DAYS = 730
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TokenScope(StrEnum):
    """What a token permits a program to do."""

    READ = "read"
    READ_PATIENTS = "read:patients"
    OPERATE = "operate"
    RULES = "rules"
    AUDIT = "audit"
    DICOMWEB_READ = "dicomweb:read"
    DICOMWEB_STORE = "dicomweb:store"


NAMES_PATIENTS = frozenset({TokenScope.READ_PATIENTS, TokenScope.DICOMWEB_READ})
"""Scopes that let a program see patients: every DICOM object names one."""
LONGEST_AE_TITLE = 16
SCOPE_OPERATIONS: Mapping[TokenScope, frozenset[Operation]] = {
    TokenScope.READ: frozenset({Operation.SHOW, Operation.EVENTS, Operation.JOBS, Operation.VIEW_IMAGES}),
    TokenScope.READ_PATIENTS: frozenset(),  # names, IDs, and files that contain them
    TokenScope.OPERATE: frozenset(
        {
            Operation.RETRY,
            Operation.RERUN,
            Operation.CANCEL,
            Operation.PRIORITY,
            Operation.RESEND,
            Operation.ECHO,
        }
    ),
    TokenScope.RULES: frozenset(
        {
            Operation.RULES,
            Operation.RULES_DRAFT,
            Operation.RULES_DISCARD,
            Operation.RULES_ACTIVATE,
            Operation.RULES_ROLLBACK,
        }
    ),
    TokenScope.AUDIT: frozenset({Operation.AUDIT}),
    TokenScope.DICOMWEB_READ: frozenset({Operation.DICOMWEB_READ}),
    TokenScope.DICOMWEB_STORE: frozenset({Operation.DICOMWEB_STORE}),
}
_ROLES = (
    (TokenScope.RULES, ActorRole.PHYSICIST),
    (TokenScope.AUDIT, ActorRole.PHYSICIST),
    (TokenScope.OPERATE, ActorRole.OPERATOR),
    (TokenScope.DICOMWEB_STORE, ActorRole.OPERATOR),
)


@dataclass(frozen=True, kw_only=True)
class MadeToken:
    """A new token with its secret, which is shown once: the node keeps only the SHA-256."""

    token: ApiToken
    secret: str


def create_token(
    database: Database, actor: Actor, name: str, scopes: Collection[TokenScope], *, days: int
) -> MadeToken:
    """Create a token for a program; it expires after ``days``.

    Args:
        database: the node's.
        actor: who creates it; one who may not see patients cannot let a program see them.
        name: the program's name in the audit trail; only one valid token has it at a time.
        scopes: what it permits.
        days: how long it is valid, 1 to LONGEST_DAYS.

    Raises:
        NotPermitted: the actor is no admin.
        Refused: the name is not valid, no scope is given, or the time is too long.
        NotAllowed: there is a valid token of this name.
    """
    secret = BEGINS_WITH + new_secret()
    wanted = sorted(scopes)

    def act(transaction: Transaction) -> ApiToken:
        if not _NAME.fullmatch(name):
            raise Refused("a token's name has 1 to 64 characters: letters, digits, '.', '_', '-'")
        if not wanted:
            raise Refused(f"a token needs a scope; there are: {', '.join(TokenScope)}")
        if not 1 <= days <= LONGEST_DAYS:
            raise Refused(f"a token is valid for 1 to {LONGEST_DAYS} days, not {days}")
        if TokenScope.DICOMWEB_STORE in wanted and len(name) > LONGEST_AE_TITLE:
            raise Refused(
                f"the name is the calling AE title of what comes by DICOMweb: at most {LONGEST_AE_TITLE} characters, "
                f"not {len(name)}"
            )
        if not NAMES_PATIENTS.isdisjoint(wanted) and not actor.sees_patients:
            raise Refused(f"{actor.name} may not see patients, and cannot let a program see them")
        new = NewToken(
            name=name,
            secret_sha256=secret_sha256(secret),
            scopes=tuple(scope.value for scope in wanted),
            made_by=actor.name,
            ends_at=database.clock() + timedelta(days=days),
        )
        return make_token(database, transaction, new)

    detail = f"{name}: {' '.join(wanted)}, {days} days"
    token = perform(database, actor, Operation.TOKENS, None, act, detail=detail)
    return MadeToken(token=token, secret=secret)


def revoke_token(database: Database, actor: Actor, name: str) -> None:
    """Revoke a token; the next request with it is refused.

    Raises:
        NotPermitted: the actor is no admin.
        NotAllowed: there is no valid token of this name.
    """
    perform(
        database,
        actor,
        Operation.TOKENS,
        None,
        lambda transaction: end_token(database, transaction, name),
        detail=f"{name}: revoked",
    )


def list_tokens(database: Database, actor: Actor) -> Sequence[ApiToken]:
    """Return every present and past token, newest first.

    Raises:
        NotPermitted: the actor is no admin.
    """
    return perform(database, actor, Operation.TOKENS, None, all_tokens, detail="listed")


def actor_of(database: Database, secret: str, *, entry: str, address: str) -> Actor | None:
    """Return the program that a token stands for, with its permissions; None if the token is not valid.

    Args:
        database: the node's.
        secret: the token sent with the request.
        entry: the part of the node through which the request came.
        address: the address that it came from.
    """
    if not secret.startswith(BEGINS_WITH):
        return None
    token = find_token(database, secret_sha256(secret))
    if token is None:
        return None
    scopes = {TokenScope(word) for word in token.scopes if word in set(TokenScope)}
    return Actor(
        kind=ActorKind.SERVICE,
        name=f"{TRAIL_PREFIX}{token.name}",
        role=next((role for scope, role in _ROLES if scope in scopes), ActorRole.VIEWER),
        entry=entry,
        address=address,
        sees_patients=not NAMES_PATIENTS.isdisjoint(scopes),
        operations=frozenset().union(*(SCOPE_OPERATIONS[scope] for scope in scopes)),
    )
