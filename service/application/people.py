"""The use cases of the web page's users: invite, accept an invitation, change permissions."""

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
from service.store.web.accounts import LINK_LASTS, admit_user, sign_out_user

SECRET_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Person:
    """A user of the web page, and their number of signed-in browsers."""

    user: WebUser
    sessions: int


def new_secret() -> str:
    """Return 256 random bits as text for a URL or a cookie."""
    return secrets.token_urlsafe(SECRET_BYTES)


def secret_sha256(secret: str) -> str:
    """Return the form in which the database stores a secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def list_people(database: Database, actor: Actor) -> Sequence[Person]:
    """Return all present and former users of the web page.

    Raises:
        NotPermitted: the actor is no admin.
    """
    people = perform(database, actor, Operation.PEOPLE, None, lambda _: Accounts(database).all())
    sessions = Sessions(database).numbers()
    return [Person(user=user, sessions=sessions.get(user.id, 0)) for user in people]


def invite_person(
    database: Database, actor: Actor, name: str, role: ActorRole, *, sees_patients: bool
) -> str:
    """Create a user, or issue a new link to one; return the link's secret, valid for LINK_LASTS.

    Raises:
        NotPermitted: the actor is no admin.
        Refused: the name is not valid.
        NotAllowed: no admin would remain.
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


def admit_person(database: Database, name: str, role: ActorRole, *, sees_patients: bool) -> WebUser:
    """Return the person whom a provider signed in, with the rights of their groups; add them if they are new.

    Raises:
        NotAllowed: an admin ended this person.
    """
    with database.writing() as transaction:
        return admit_user(database, transaction, name, role=role.value, sees_patients=sees_patients)


def set_password(database: Database, secret: str, password_hash: str) -> WebUser:
    """Set the password of the user whom a link is for; the link is then used up.

    Raises:
        NotAllowed: there is no such link, it was used, or it has expired.
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
    """Change a user's permissions, or remove the user; their sessions end.

    Raises:
        NotPermitted: the actor is no admin.
        NotAllowed: there is no such user, or no admin would remain.
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


def sign_out_person(database: Database, actor: Actor, name: str) -> None:
    """End all sessions of a user, who can sign in again.

    Raises:
        NotPermitted: the actor is no admin.
        NotAllowed: there is no such user.
    """
    perform(
        database,
        actor,
        Operation.CHANGE_USER,
        None,
        lambda transaction: sign_out_user(transaction, name),
        detail=f"{name}: signed out everywhere",
    )


def unlock_person(database: Database, actor: Actor, name: str) -> None:
    """Let a user who is locked after wrong passwords try again.

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
