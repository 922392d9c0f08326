"""Read a growing table from where one stopped, without missing a row that is committed late."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, func, select, update

from service.store.database import Database
from service.store.tables.monitoring_schema import event_position

GAP_PATIENCE = timedelta(seconds=60)


def newest_id(connection: Connection, table: Table) -> int:
    """Return the highest id in a table; 0 if it is empty."""
    return int(connection.execute(select(func.max(table.c.id))).scalar_one() or 0)


def position(connection: Connection, name: str) -> int | None:
    """Return how far a reader has come; None if it has never begun."""
    query = select(event_position.c.last_id).where(event_position.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def begin(database: Database, connection: Connection, name: str, at_id: int) -> None:
    """Set the position of a reader that has never begun; one that has stays where it is."""
    connection.execute(
        database.insert(event_position).values(name=name, last_id=at_id).on_conflict_do_nothing()
    )


def is_behind(connection: Connection, name: str, table: Table) -> bool:
    """Tell, without any lock, whether there may be something to read."""
    last, newest = position(connection, name) or 0, newest_id(connection, table)
    return newest > last or (_gives_numbers_again(connection) and newest < last)


def locked(connection: Connection, name: str, table: Table) -> int:
    """Return how far a reader has come, and keep other processes from reading on until the transaction ends."""
    query = select(event_position.c.last_id).where(event_position.c.name == name).with_for_update()
    last = int(connection.execute(query).scalar_one())
    return min(last, newest_id(connection, table)) if _gives_numbers_again(connection) else last


def advance(connection: Connection, name: str, to_id: int) -> None:
    """Record how far a reader has come, in the transaction in which it did its work."""
    connection.execute(update(event_position).where(event_position.c.name == name).values(last_id=to_id))


def settled(
    rows: Sequence[Row[Any]], after_id: int, at: Column[datetime], now: datetime
) -> Sequence[Row[Any]]:
    """Return the rows before the first gap that may still be filled.

    Postgres assigns numbers before it commits them, so number 8 can be seen before number 7. A gap ends the result
    until the row behind it is older than any transaction of this node: by then the missing one was rolled back. A row
    from further in the future than that was written before the clock was set back.
    """
    expected = after_id + 1
    for place, row in enumerate(rows):
        if row.id != expected and abs(now - row._mapping[at]) < GAP_PATIENCE:
            return rows[:place]
        expected = row.id + 1
    return rows


def _gives_numbers_again(connection: Connection) -> bool:
    """SQLite may reuse the numbers of removed newest rows: a position beyond the newest row must move back."""
    return connection.dialect.name == "sqlite"
