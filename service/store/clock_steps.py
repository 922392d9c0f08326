"""Leases and waits on a clock that may be set in either direction.

Times in rows are from the wall clock, for people and other processes to read. Each process also measures with its
monotonic clock, which decides if the two disagree.
"""

import logging
import math
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select, update

from service.store.database import Database
from service.store.tables.schema import job_event

log = logging.getLogger(__name__)

NOTICED_S = 5.0
TOLERANCE = timedelta(minutes=5)
"""Rows that are newer than the clock by more than this were written before it was set back."""


class LeaseWatch:
    """Tells which leases have been abandoned by their holders. Thread-safe.

    A holder renews its lease after at most a third of its length. So a lease is abandoned if it was unchanged for half
    of its length and has expired by the wall clock, or if it has not changed for its whole length, whatever the clock
    says. Setting the clock ahead ends no lease of a live holder; setting it back keeps none of a dead one. Only at a
    process's first poll is the wall clock trusted.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[int, tuple[tuple[int, datetime], float]] = {}
        self._has_looked = False
        self._lock = threading.Lock()

    def wrote(self, row_id: int, lease_number: int, until: datetime) -> None:
        """Record a lease that this process has just taken or renewed itself."""
        with self._lock:
            self._seen[row_id] = (lease_number, until), self._database.monotonic()

    def abandoned(self, leased: Iterable[Row[Any]], lease_s: float) -> list[int]:
        """Return the ids of abandoned leases.

        Args:
            leased: every row under a lease now: id, lease_number, lease_expires_at.
            lease_s: how long a lease lasts, in seconds.
        """
        now, now_s = self._database.clock(), self._database.monotonic()
        found, seen = [], {}
        with self._lock:
            for row in leased:
                as_it_is = (row.lease_number, row.lease_expires_at)
                is_over = row.lease_expires_at <= now
                first_s = -math.inf if is_over and not self._has_looked else now_s
                before, since_s = self._seen.get(row.id, (None, first_s))
                seen[row.id] = as_it_is, (since_s if before in (None, as_it_is) else now_s)
                unchanged_s = now_s - seen[row.id][1]
                if unchanged_s >= lease_s or (is_over and unchanged_s >= lease_s / 2):
                    found.append(row.id)
            self._seen, self._has_looked = seen, True
        return found


class SetBackWatch:
    """Detects that the clock was set back, so that waits for a time of the old clock do not become longer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: tuple[datetime, float] | None = None

    def look(self, table: Table, *waiting: ColumnElement[bool]) -> None:
        """If the clock was set back, make the waiting rows of a table due, since their remaining wait cannot be known.

        Otherwise nothing is written.
        """
        with self._database.reading() as connection:
            set_back = self._was_set_back(connection)
        if set_back:
            with self._database.writing() as connection:
                self._end_waits(connection, table, *waiting)

    def _was_set_back(self, connection: Connection) -> bool:
        """Tell whether the clock went back since the last look, or since the newest line of any job's history."""
        now, now_s = self._database.clock(), self._database.monotonic()
        last, self._last = self._last, (now, now_s)
        newest = connection.execute(select(job_event.c.at).order_by(job_event.c.id.desc()).limit(1)).scalar()
        if newest is not None and newest - now > TOLERANCE:
            return True
        return last is not None and (now - last[0]).total_seconds() < now_s - last[1] - NOTICED_S

    def _end_waits(self, connection: Connection, table: Table, *waiting: ColumnElement[bool]) -> None:
        now = self._database.clock()
        ended = connection.execute(
            update(table).where(*waiting, table.c.not_before > now).values(not_before=now)
        )
        log.warning(
            "the clock was set back; what was to be tried again later is tried now",
            extra={"table": table.name, "rows": ended.rowcount},
        )
