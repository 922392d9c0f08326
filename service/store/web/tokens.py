"""Tokens of programs. The database knows the SHA-256 of a token, never the token."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from service.store.database import Database
from service.store.errors import NotAllowed
from service.store.tables.web_schema import api_token

SEEN_EVERY = timedelta(minutes=1)
"""How precisely the time of the last request is kept: a write per request would cost too much."""


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """A token that is to be made."""

    name: str
    secret_sha256: str
    scopes: tuple[str, ...]
    made_by: str
    ends_at: datetime


@dataclass(frozen=True, kw_only=True)
class ApiToken:
    """A token, valid or not; `ended_at`: when it was revoked before its time."""

    id: int
    name: str
    scopes: tuple[str, ...]
    made_by: str
    made_at: datetime
    ends_at: datetime
    seen_at: datetime | None
    ended_at: datetime | None

    def holds(self, now: datetime) -> bool:
        """Tell whether it is valid."""
        return self.ended_at is None and now < self.ends_at


def make_token(database: Database, connection: Connection, new: NewToken) -> ApiToken:
    """Record a token.

    Raises:
        NotAllowed: a token with this name is valid.
    """
    now = database.clock()
    holding = select(api_token.c.id).where(
        api_token.c.name == new.name, api_token.c.ended_at.is_(None), api_token.c.ends_at > now
    )
    if connection.execute(holding).first() is not None:
        raise NotAllowed(f"there is a valid token {new.name} already; revoke it first")
    values = {**vars(new), "scopes": " ".join(new.scopes), "made_at": now}
    return _token(connection.execute(insert(api_token).values(values).returning(api_token)).one())


def end_token(database: Database, connection: Connection, name: str) -> None:
    """Revoke the token with this name.

    Raises:
        NotAllowed: no token with this name is valid.
    """
    now = database.clock()
    ended = connection.execute(
        update(api_token)
        .where(api_token.c.name == name, api_token.c.ended_at.is_(None), api_token.c.ends_at > now)
        .values(ended_at=now)
    )
    if ended.rowcount == 0:
        raise NotAllowed(f"there is no valid token {name}")


def all_tokens(connection: Connection) -> list[ApiToken]:
    """Return every token, newest first."""
    return [_token(row) for row in connection.execute(select(api_token).order_by(api_token.c.id.desc()))]


def find_token(database: Database, secret_sha256: str) -> ApiToken | None:
    """Return the token of a secret, and record that it was used; None if it is not valid."""
    now = database.clock()
    with database.reading() as connection:
        row = connection.execute(
            select(api_token).where(api_token.c.secret_sha256 == secret_sha256)
        ).one_or_none()
    token = None if row is None else _token(row)
    if token is None or not token.holds(now):
        return None
    if token.seen_at is None or token.seen_at <= now - SEEN_EVERY:
        with database.writing() as connection:
            connection.execute(update(api_token).where(api_token.c.id == token.id).values(seen_at=now))
    return token


def _token(row: Row[Any]) -> ApiToken:
    values = {name: row._mapping[name] for name in ApiToken.__dataclass_fields__}
    return ApiToken(**{**values, "scopes": tuple(row.scopes.split())})
