"""Reading a growing table from where one stopped, without missing a row that commits late."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, func, select, update

from service.store.database import Database
from service.store.tables.monitoring_schema import event_position

GAP_PATIENCE = timedelta(seconds=60)


def newest_id(connection: Connection, table: Table) -> int:
    """Give the highest id in a table; 0 where it is empty."""
    return int(connection.execute(select(func.max(table.c.id))).scalar_one() or 0)


def position(connection: Connection, name: str) -> int | None:
    """Give how far a reader has come; None where it never began."""
    query = select(event_position.c.last_id).where(event_position.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def begin(database: Database, connection: Connection, name: str, at_id: int) -> None:
    """Set a reader that never began to a place; one that did stays where it is."""
    connection.execute(
        database.insert(event_position).values(name=name, last_id=at_id).on_conflict_do_nothing()
    )


def is_behind(connection: Connection, name: str, table: Table) -> bool:
    """Tell, without any lock, whether there may be something to read."""
    last, newest = position(connection, name) or 0, newest_id(connection, table)
    return newest > last or (_gives_numbers_again(connection) and newest < last)


def locked(connection: Connection, name: str, table: Table) -> int:
    """Give how far a reader has come, and keep any other process from reading on until the transaction ends."""
    query = select(event_position.c.last_id).where(event_position.c.name == name).with_for_update()
    last = int(connection.execute(query).scalar_one())
    return min(last, newest_id(connection, table)) if _gives_numbers_again(connection) else last


def advance(connection: Connection, name: str, to_id: int) -> None:
    """Note how far a reader has come, in the transaction in which it did its work."""
    connection.execute(update(event_position).where(event_position.c.name == name).values(last_id=to_id))


def settled(
    rows: Sequence[Row[Any]], after_id: int, at: Column[datetime], now: datetime
) -> Sequence[Row[Any]]:
    """Give the rows before the first gap that may still be filled.

    Postgres hands out numbers before it commits them, so number 8 can be seen before number 7. A gap is waited for
    until the row behind it is older than any transaction of this node; by then it was rolled back. A row from further
    ahead than that was written before the clock was set back.
    """
    expected = after_id + 1
    for place, row in enumerate(rows):
        if row.id != expected and abs(now - row._mapping[at]) < GAP_PATIENCE:
            return rows[:place]
        expected = row.id + 1
    return rows


def _gives_numbers_again(connection: Connection) -> bool:
    """SQLite counts on from the newest row that is left: where that was removed, a place beyond it must move back."""
    return connection.dialect.name == "sqlite"
