"""The use cases of the page's people: invite one, accept, change what one may do."""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from service.application.actors import Actor, ActorRole, Operation
from service.application.audited import perform
from service.errors import Refused
from service.store import (
    Accounts,
    Database,
    Invitation,
    Sessions,
    Transaction,
    WebUser,
    accept_invitation,
    change_user,
    invite,
    unlock_user,
)
from service.store.web.accounts import LINK_LASTS

SECRET_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user of the page, and how many browsers of theirs are signed in."""

    user: WebUser
    sessions: int


def new_secret() -> str:
    """Return 256 random bits as text that can stand in a URL or a cookie."""
    return secrets.token_urlsafe(SECRET_BYTES)


def secret_sha256(secret: str) -> str:
    """Return what the database keeps of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def list_people(database: Database, actor: Actor) -> Sequence[Person]:
    """Give everybody who may use the page, or might once.

    Raises:
        NotPermitted: the actor is no admin.
    """
    people = perform(database, actor, Operation.PEOPLE, None, lambda _: Accounts(database).all())
    sessions = Sessions(database).numbers()
    return [Person(user=user, sessions=sessions.get(user.id, 0)) for user in people]


def invite_person(
    database: Database, actor: Actor, name: str, role: ActorRole, *, sees_patients: bool
) -> str:
    """Make a user, or give one a new link, and return the secret of the link; it lasts for LINK_LASTS.

    Raises:
        NotPermitted: the actor is no admin.
        Refused: the name cannot be one.
        NotAllowed: nobody would be admin any more.
    """
    secret = new_secret()

    def act(transaction: Transaction) -> None:
        if not _NAME.fullmatch(name):
            raise Refused("a user's name has 1 to 64 characters: letters, digits, '.', '_', '@', '-'")
        invitation = Invitation(
            name=name,
            role=role.value,
            sees_patients=sees_patients,
            secret_sha256=secret_sha256(secret),
            ends_at=database.clock() + LINK_LASTS,
        )
        invite(database, transaction, invitation)

    perform(database, actor, Operation.INVITE, None, act, detail=f"{name} as {role}")
    return secret


def set_password(database: Database, secret: str, password_hash: str) -> WebUser:
    """Set the password of the person whom a link is for; the link is then used.

    Raises:
        NotAllowed: there is no such link, it was used, or its time is over.
    """
    with database.writing() as transaction:
        return accept_invitation(database, transaction, secret_sha256(secret), password_hash)


def change_person(
    database: Database,
    actor: Actor,
    name: str,
    *,
    role: ActorRole | None = None,
    sees_patients: bool | None = None,
    ends: bool = False,
) -> None:
    """Change what a person may do, or end them; their sessions end.

    Raises:
        NotPermitted: the actor is no admin.
        NotAllowed: there is no such person, or nobody would be admin any more.
    """
    what = "ended" if ends else f"role {role}, sees patients: {sees_patients}"
    perform(
        database,
        actor,
        Operation.CHANGE_USER,
        None,
        lambda transaction: change_user(
            database,
            transaction,
            name,
            role=None if role is None else role.value,
            sees_patients=sees_patients,
            ends=ends,
        ),
        detail=f"{name}: {what}",
    )


def unlock_person(database: Database, actor: Actor, name: str) -> None:
    """Let a person who has to wait after wrong passwords try again.

    Raises:
        NotPermitted: the actor is no admin.
    """
    perform(
        database,
        actor,
        Operation.UNLOCK_USER,
        None,
        lambda transaction: unlock_user(transaction, name),
        detail=name,
    )
