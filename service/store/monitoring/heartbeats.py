"""Signs of life of the node's processes."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from service.store.database import Database
from service.store.tables.monitoring_schema import role_heartbeat

FORGOTTEN_AFTER = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class RoleHeartbeat:
    """The last heartbeat of one process."""

    role: str
    host: str
    pid: int
    started_at: datetime
    at: datetime


class Heartbeats:
    """One row per process; a role that ends properly removes its row, one that is killed leaves it to grow old."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, role: str) -> None:
        """Record that this process is alive, as this role."""
        now = self._database.clock()
        me = {"role": role, "host": socket.gethostname(), "pid": os.getpid()}
        same = [role_heartbeat.c[name] == value for name, value in me.items()]
        with self._database.writing() as connection:
            changed = connection.execute(update(role_heartbeat).where(*same).values(at=now))
            if changed.rowcount == 0:
                connection.execute(
                    self._database.insert(role_heartbeat)
                    .values(**me, started_at=now, at=now)
                    .on_conflict_do_nothing()
                )

    def retire(self, role: str) -> None:
        """Remove the row of this process, which is ending properly."""
        mine = (role_heartbeat.c.host == socket.gethostname(), role_heartbeat.c.pid == os.getpid())
        with self._database.writing() as connection:
            connection.execute(delete(role_heartbeat).where(role_heartbeat.c.role == role, *mine))

    def all(self) -> list[RoleHeartbeat]:
        """Return every process that has a row, the latest heartbeat first."""
        query = select(role_heartbeat).order_by(role_heartbeat.c.at.desc())
        with self._database.reading() as connection:
            return [RoleHeartbeat(**row._asdict()) for row in connection.execute(query)]

    def forget_old(self) -> None:
        """Remove the rows of processes that died days ago; look first, because it is rarely needed."""
        old = role_heartbeat.c.at < self._database.clock() - FORGOTTEN_AFTER
        with self._database.reading() as connection:
            if connection.execute(select(role_heartbeat.c.pid).where(old).limit(1)).first() is None:
                return
        with self._database.writing() as connection:
            connection.execute(delete(role_heartbeat).where(old))
