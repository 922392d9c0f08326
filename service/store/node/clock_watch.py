"""Whether the clock can be trusted: checked against the rows, and against the uptime since it was last right."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from service.store.clock_steps import TOLERANCE
from service.store.database import Database
from service.store.tables.audit_schema import audit_event
from service.store.tables.node_schema import node
from service.store.tables.schema import instance, job_event

LONGEST_GAP = timedelta(days=7)
"""After a longer time off, a person has to confirm that the clock is right: nothing else could tell."""
ACCEPT = "set the clock, or confirm that it is right with `contour-node retention --clock-is-right`"


@dataclass(frozen=True, kw_only=True)
class MachineUptime:
    """How long the machine has run, sleep included, and since which boot; setting the clock changes neither."""

    boot_id: str
    seconds: float


def machine_uptime() -> MachineUptime:
    """Read the uptime from the kernel or, if there is no /proc, from the process's monotonic clock."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return MachineUptime(
            boot_id=boot_id, seconds=float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        )
    except (OSError, ValueError):
        return MachineUptime(boot_id="", seconds=time.monotonic())


class ClockWatch:
    """The clock of a node's database, and the last time at which it is known to have been right."""

    def __init__(self, database: Database, uptime: Callable[[], MachineUptime] = machine_uptime) -> None:
        self._database = database
        self._uptime = uptime

    def doubt(self) -> str:
        """Check the clock and say why it cannot be right; empty, and recorded as right, if nothing speaks against it.

        Raises:
            DatabaseUnavailable: it is not known.
        """
        now, uptime = self._database.clock(), self._uptime()
        with self._database.writing() as connection:
            row = connection.execute(select(node)).one_or_none()
            if row is None:
                return ""
            found = _doubt(connection, row, now, uptime)
            if found:
                found = f"{found}; {ACCEPT}"
                connection.execute(update(node).values(clock_doubt=found))
            else:
                _note(connection, now, uptime)
        return found

    def is_doubtful(self) -> bool:
        """Tell whether the clock cannot be right; raises as doubt()."""
        return bool(self.doubt())

    def accept(self, connection: Connection) -> None:
        """Record in the caller's transaction that a person confirms that the clock is right now."""
        now = self._database.clock()
        newest = _newest(connection, *_EVERY_TIME)
        _note(connection, now, self._uptime())
        connection.execute(update(node).values(clock_accepted_at=now if newest is None else max(now, newest)))


def read_clock_doubt(connection: Connection) -> str:
    """Return why the last check doubted the clock; empty if it did not."""
    return connection.execute(select(node.c.clock_doubt)).scalar_one_or_none() or ""


def _doubt(connection: Connection, row: Row[Any], now: datetime, uptime: MachineUptime) -> str:
    newest = _newest(connection, *_EVERY_TIME)
    accepted = row.clock_accepted_at
    if newest is not None and newest - now > TOLERANCE and (accepted is None or newest > accepted):
        return f"the clock says {_words(now)}, but rows were written at {_words(newest)}"
    if row.clock_at is not None and row.clock_boot_id == uptime.boot_id and row.clock_boot_id:
        expected = row.clock_at + timedelta(seconds=uptime.seconds - row.clock_uptime_s)
        if abs(now - expected) > TOLERANCE:
            return (
                f"the clock says {_words(now)}; by the machine's uptime since it was last right, it should say "
                f"{_words(expected)}"
            )
        return ""
    last = row.clock_at or _newest(connection, instance.c.received_at, job_event.c.at)
    if last is not None and not -TOLERANCE <= now - last <= LONGEST_GAP:
        return f"the clock says {_words(now)}, and was last known to be right at {_words(last)}"
    return ""


def _note(connection: Connection, now: datetime, uptime: MachineUptime) -> None:
    values = {
        "clock_at": now,
        "clock_boot_id": uptime.boot_id,
        "clock_uptime_s": uptime.seconds,
        "clock_doubt": "",
    }
    connection.execute(update(node).values(**values))


_EVERY_TIME = (audit_event.c.at, instance.c.received_at, job_event.c.at)


def _newest(connection: Connection, *columns: Any) -> datetime | None:
    """Return the latest time in these columns; in a column without an index, that of the newest row."""
    found: list[datetime] = []
    for column in columns:
        table = column.table
        if column.index:
            query = select(func.max(column, type_=column.type))
        else:
            query = select(column).order_by(table.c.id.desc()).limit(1)
        value = connection.execute(query).scalar_one_or_none()
        found += [] if value is None else [value]
    return max(found, default=None)


def _words(time_: datetime) -> str:
    return f"{time_:%Y-%m-%d %H:%M:%S} UTC"
