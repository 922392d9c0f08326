"""The people of the web page: invitations, rights, and waits after wrong passwords."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from service.store.database import Database
from service.store.errors import NotAllowed
from service.store.tables.web_schema import web_invitation, web_session, web_user

FREE_TRIES = 5
"""Wrong passwords in a row before a user has to wait."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
LINK_LASTS = timedelta(minutes=15)
ADMIN = "admin"


@dataclass(frozen=True, kw_only=True)
class WebUser:
    """A person who may use the web page, or was allowed to."""

    id: int
    name: str
    role: str
    sees_patients: bool
    password_hash: str  # empty: no password has been set
    failed_sign_ins: int
    locked_until: datetime | None
    made_at: datetime
    seen_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """A one-time link for a person: who they are, and what they may do once they have used it."""

    name: str
    role: str
    sees_patients: bool
    secret_sha256: str
    ends_at: datetime


class Accounts:
    """Read and change the people of the page. Each change is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def has_admin(self) -> bool:
        """Tell whether somebody can sign in as admin."""
        with self._database.reading() as connection:
            return _admins(connection) > 0

    def find(self, name: str) -> WebUser | None:
        """Return the person with this name, who may no longer be allowed to sign in; None if there is none."""
        with self._database.reading() as connection:
            row = connection.execute(select(web_user).where(web_user.c.name == name)).one_or_none()
            return None if row is None else _user(row)

    def all(self) -> Sequence[WebUser]:
        """Return everybody, by name."""
        with self._database.reading() as connection:
            return [_user(row) for row in connection.execute(select(web_user).order_by(web_user.c.name))]

    def failed(self, user: WebUser) -> datetime | None:
        """Count a wrong password; return the time until which the person has to wait, if any."""
        now = self._database.clock()
        with self._database.writing() as connection:
            count = connection.execute(
                update(web_user)
                .where(web_user.c.id == user.id)
                .values(failed_sign_ins=web_user.c.failed_sign_ins + 1)
                .returning(web_user.c.failed_sign_ins)
            ).scalar_one()
            if count < FREE_TRIES:
                return None
            until = now + wait_after(count)
            connection.execute(update(web_user).where(web_user.c.id == user.id).values(locked_until=until))
            return until


def is_waiting(until: datetime | None, now: datetime) -> bool:
    """Tell whether somebody has to wait; a wait longer than the longest began before the clock was set back."""
    return until is not None and now < until <= now + LONGEST_WAIT


def wait_after(failures: int) -> timedelta:
    """Return how long somebody waits after so many wrong passwords in a row: doubled each time, up to an hour."""
    if failures < FREE_TRIES:
        return timedelta(0)
    doublings = min(failures - FREE_TRIES, 20)
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << doublings))


def invite(database: Database, connection: Connection, invitation: Invitation) -> None:
    """Add a user, or give an existing one a new link; their earlier links end.

    An existing user keeps their password until the link is used; their role becomes the invitation's at once.

    Raises:
        NotAllowed: nobody would be admin any more.
    """
    now, name = database.clock(), invitation.name
    rights = {"role": invitation.role, "sees_patients": invitation.sees_patients}
    user_id = connection.execute(select(web_user.c.id).where(web_user.c.name == name)).scalar_one_or_none()
    if user_id is None:
        values = {"name": name, "password_hash": "", "made_at": now, **rights}
        user_id = connection.execute(insert(web_user).values(values).returning(web_user.c.id)).scalar_one()
    else:
        change_user(database, connection, name, role=invitation.role, sees_patients=invitation.sees_patients)
    connection.execute(
        update(web_invitation)
        .where(web_invitation.c.user_id == user_id, web_invitation.c.used_at.is_(None))
        .values(used_at=now)
    )
    link = {"secret_sha256": invitation.secret_sha256, "user_id": user_id, "ends_at": invitation.ends_at}
    connection.execute(insert(web_invitation).values(link))


def invited(database: Database, connection: Connection, secret_sha256: str) -> WebUser:
    """Return the person of a link that can still be used.

    Raises:
        NotAllowed: there is no such link, it was used, or its time is over.
    """
    row = connection.execute(
        select(web_user, web_invitation.c.ends_at.label("link_ends_at"), web_invitation.c.used_at)
        .join(web_invitation, web_invitation.c.user_id == web_user.c.id)
        .where(web_invitation.c.secret_sha256 == secret_sha256)
    ).one_or_none()
    now = database.clock()
    if row is None or row.used_at is not None or not now < row.link_ends_at <= now + LINK_LASTS:
        raise NotAllowed("this link was used, or its time is over; ask for a new one")
    return _user(row)


def accept_invitation(
    database: Database, connection: Connection, secret_sha256: str, password_hash: str
) -> WebUser:
    """Set the password of a link's person; the link and every session of theirs end.

    Raises:
        NotAllowed: as in invited().
    """
    user = invited(database, connection, secret_sha256)
    connection.execute(
        update(web_invitation)
        .where(web_invitation.c.secret_sha256 == secret_sha256)
        .values(used_at=database.clock())
    )
    connection.execute(
        update(web_user)
        .where(web_user.c.id == user.id)
        .values(password_hash=password_hash, failed_sign_ins=0, locked_until=None, ended_at=None)
    )
    end_sessions(connection, user.id)
    return user


def change_user(
    database: Database,
    connection: Connection,
    name: str,
    *,
    role: str | None = None,
    sees_patients: bool | None = None,
    ends: bool = False,
) -> None:
    """Change a person's role or rights, or end their access; their sessions end, so that the change holds at once.

    Raises:
        NotAllowed: there is no such person, or nobody would be admin any more.
    """
    row = connection.execute(select(web_user).where(web_user.c.name == name)).one_or_none()
    if row is None:
        raise NotAllowed(f"there is no user {name}")
    values: dict[str, Any] = {}
    if role is not None and role != row.role:
        values["role"] = role
    if sees_patients is not None and sees_patients != row.sees_patients:
        values["sees_patients"] = sees_patients
    if ends:
        values["ended_at"] = database.clock()
    if not values:
        return
    connection.execute(update(web_user).where(web_user.c.id == row.id).values(values))
    if row.role == ADMIN and row.password_hash and row.ended_at is None and not _admins(connection):
        raise NotAllowed(f"{name} is the last admin; make another one first")
    end_sessions(connection, row.id)


def admit_user(
    database: Database, connection: Connection, name: str, *, role: str, sees_patients: bool
) -> WebUser:
    """Return the person whom a provider signed in, with the rights of their groups; add them if they are new.

    If the rights have changed, the person's open sessions end.

    Raises:
        NotAllowed: an admin ended this person's access here, or the name belongs to somebody with a password.
    """
    row = connection.execute(select(web_user).where(web_user.c.name == name)).one_or_none()
    if row is None:
        rights = {"role": role, "sees_patients": sees_patients}
        values = {"name": name, "password_hash": "", "made_at": database.clock(), **rights}
        connection.execute(insert(web_user).values(values))
    elif row.ended_at is not None or row.password_hash:
        raise NotAllowed(f"{name} may not sign in on this node any more; an admin can say why")
    else:
        change_user(database, connection, name, role=role, sees_patients=sees_patients)
    return _user(connection.execute(select(web_user).where(web_user.c.name == name)).one())


def unlock_user(connection: Connection, name: str) -> None:
    """Let a person who has to wait after wrong passwords try again."""
    connection.execute(
        update(web_user).where(web_user.c.name == name).values(failed_sign_ins=0, locked_until=None)
    )


def sign_out_user(connection: Connection, name: str) -> None:
    """Sign the person of a name out everywhere.

    Raises:
        NotAllowed: there is no such person.
    """
    user_id = connection.execute(select(web_user.c.id).where(web_user.c.name == name)).scalar_one_or_none()
    if user_id is None:
        raise NotAllowed(f"there is no user {name}")
    end_sessions(connection, user_id)


def end_sessions(connection: Connection, user_id: int) -> None:
    """Sign a person out everywhere."""
    connection.execute(delete(web_session).where(web_session.c.user_id == user_id))


def _admins(connection: Connection) -> int:
    query = select(func.count()).where(
        web_user.c.role == ADMIN, web_user.c.password_hash != "", web_user.c.ended_at.is_(None)
    )
    return int(connection.execute(query).scalar_one())


def _user(row: Row[Any]) -> WebUser:
    return WebUser(**{name: row._mapping[name] for name in WebUser.__dataclass_fields__})
