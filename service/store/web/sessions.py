"""Browsers that are signed in. The database knows the SHA-256 of a session's secret, never the secret."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, update

from service.store.clock_steps import TOLERANCE
from service.store.database import Database
from service.store.tables.web_schema import web_session, web_user
from service.store.web.accounts import WebUser, end_sessions

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=1)
"""How precisely the time of the last request is kept: a write per request would cost too much."""


@dataclass(frozen=True, kw_only=True)
class WebSession:
    """A browser that is signed in, and whose it is."""

    user: WebUser
    secret_sha256: str
    made_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, user: WebUser, secret_sha256: str, address: str, *, replaces: str = "") -> None:
        """Open a session for a person who has just signed in; the session that the browser had before ends."""
        now = self._database.clock()
        with self._database.writing() as connection:
            connection.execute(
                delete(web_session).where(~_holds(now) | (web_session.c.secret_sha256 == replaces))
            )
            connection.execute(
                insert(web_session).values(
                    secret_sha256=secret_sha256,
                    user_id=user.id,
                    made_at=now,
                    seen_at=now,
                    ends_at=now + LONGEST,
                    address=address,
                )
            )
            connection.execute(
                update(web_user)
                .where(web_user.c.id == user.id)
                .values(failed_sign_ins=0, locked_until=None, seen_at=now)
            )

    def find(self, secret_sha256: str, *, is_used: bool = True) -> WebSession | None:
        """Return the session of a secret; None if it has ended.

        Args:
            secret_sha256: of the cookie's value.
            is_used: whether a person did something; a page that keeps itself up to date does not hold a session open.
        """
        now = self._database.clock()
        query = (
            select(web_user, web_session)
            .join(web_user, web_user.c.id == web_session.c.user_id)
            .where(web_session.c.secret_sha256 == secret_sha256, web_user.c.ended_at.is_(None), _holds(now))
        )
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        of = row._mapping
        seen_at, ends_at = of[web_session.c.seen_at], of[web_session.c.ends_at]
        if is_used and seen_at <= now - SEEN_EVERY:
            self._seen(secret_sha256, now)
        user = WebUser(**{name: of[web_user.c[name]] for name in WebUser.__dataclass_fields__})
        return WebSession(
            user=user,
            secret_sha256=secret_sha256,
            made_at=of[web_session.c.made_at],
            seen_at=seen_at,
            ends_at=ends_at,
            address=of[web_session.c.address],
        )

    def end(self, secret_sha256: str) -> None:
        """Sign one browser out."""
        with self._database.writing() as connection:
            connection.execute(delete(web_session).where(web_session.c.secret_sha256 == secret_sha256))

    def end_all(self, user: WebUser) -> None:
        """Sign a person out everywhere."""
        with self._database.writing() as connection:
            end_sessions(connection, user.id)

    def numbers(self) -> Mapping[int, int]:
        """Return the number of open sessions by user id."""
        holds = _holds(self._database.clock())
        query = select(web_session.c.user_id, func.count()).where(holds).group_by(web_session.c.user_id)
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def _seen(self, secret_sha256: str, now: datetime) -> None:
        with self._database.writing() as connection:
            connection.execute(
                update(web_session).where(web_session.c.secret_sha256 == secret_sha256).values(seen_at=now)
            )


def _holds(now: datetime) -> ColumnElement[bool]:
    """Tell, in SQL, whether a session has not ended.

    One that was last used in the future was used before the clock was set back: it would last longer than it may.
    """
    seen = web_session.c.seen_at
    return and_(web_session.c.ends_at > now, seen > now - IDLE, seen <= now + TOLERANCE)
