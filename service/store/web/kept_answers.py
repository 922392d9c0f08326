"""Answers to orders of programs, by the key that the program gave: an order that is sent twice is carried out once."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update

from service.store.database import Database
from service.store.tables.web_schema import api_answer

KEPT = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """The answer to an order; no status: the order is being carried out, or was interrupted."""

    request_sha256: str
    status: int | None
    body: str


class KeptAnswers:
    """Reserves a key and keeps its answer, each in a transaction of its own, apart from that of the order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, actor: str, key: str, request_sha256: str) -> KeptAnswer | None:
        """Reserve an actor's key for an order and return None; if it was used before, return what is kept of that."""
        now = self._database.clock()
        with self._database.writing() as connection:
            connection.execute(delete(api_answer).where(api_answer.c.made_at <= now - KEPT))
            reserved = connection.execute(
                self._database.insert(api_answer)
                .values(actor=actor, key=key, request_sha256=request_sha256, made_at=now)
                .on_conflict_do_nothing()
                .returning(api_answer.c.key)
            ).one_or_none()
            if reserved is not None:
                return None
            row = connection.execute(
                select(api_answer).where(api_answer.c.actor == actor, api_answer.c.key == key)
            ).one()
        return KeptAnswer(request_sha256=row.request_sha256, status=row.status, body=row.body)

    def keep(self, actor: str, key: str, *, status: int, body: str) -> None:
        """Keep the answer to the order with a reserved key."""
        with self._database.writing() as connection:
            connection.execute(
                update(api_answer)
                .where(api_answer.c.actor == actor, api_answer.c.key == key)
                .values(status=status, body=body)
            )

    def release(self, actor: str, key: str) -> None:
        """Let a reserved key be used again: its order changed nothing."""
        with self._database.writing() as connection:
            connection.execute(
                delete(api_answer).where(
                    api_answer.c.actor == actor, api_answer.c.key == key, api_answer.c.status.is_(None)
                )
            )
