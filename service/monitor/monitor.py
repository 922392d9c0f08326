"""Poll the node every few seconds; pages and messages report the last poll."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from service.config import NotifyEvent, Rule, Settings
from service.errors import TryAgain
from service.monitor.alarms import AlarmDelay, alarms
from service.monitor.checks import (
    ROLES,
    HealthCheck,
    check_clock,
    check_constancy,
    check_hold,
    check_model_server,
    check_receiver,
    check_refused_images,
    check_roles,
    check_rules,
    check_storage,
)
from service.monitor.echoes import PeerEchoes
from service.monitor.node_status import DatabaseStatus, NodeStatus
from service.rules import RuleBook
from service.rules.fitness import Contracts
from service.store import (
    Database,
    DiskGauge,
    DiskRoom,
    EventKind,
    Heartbeats,
    LateJob,
    MetricCounters,
    NotificationQueue,
    StorageUnavailable,
    disk_room,
    late_jobs,
    read_clock_doubt,
    read_hold,
    read_queue_statistics,
)

log = logging.getLogger(__name__)

TOLD_OF = {
    EventKind.FAILED: NotifyEvent.FAILED,
    EventKind.REFUSED: NotifyEvent.REFUSED,
    EventKind.SEND_REJECTED: NotifyEvent.DELIVERY,
}
"""Job events that are notified, with their names in the settings."""
MOST_BATCHES_IN_A_LOOK = 20
DATABASE_ANSWERS = HealthCheck(name="database", ok=True, reason="answers")


@dataclass(frozen=True, kw_only=True)
class MonitorParts:
    """What a monitor polls."""

    settings: Settings
    database: Database
    prepare: Callable[[], None]  # brings the database to this schema; called until it succeeds
    is_model_server_live: Callable[[], bool]
    echoes: PeerEchoes
    gauge: DiskGauge
    contracts: Callable[[], Contracts] | None = None  # that rules are compared with; None: they are not
    rules: RuleBook = field(init=False)

    def __post_init__(self) -> None:
        """Open the rules."""
        object.__setattr__(self, "rules", RuleBook(self.settings, self.database, self.contracts))


class Monitor:
    """Polls the node; ``view`` is the last result, readable from any thread."""

    def __init__(self, parts: MonitorParts) -> None:
        self._parts = parts
        self._counters = MetricCounters(parts.database)
        self._board = NotificationQueue(parts.database)
        self._heartbeats = Heartbeats(parts.database)
        self._patience = AlarmDelay(after_s=parts.settings.advanced.silent_s)
        self.prepared = threading.Event()  # set once the database has this program's tables
        self.view: NodeStatus | None = None

    def run(self, stop: threading.Event) -> None:
        """Poll until ``stop`` is set; an unavailable database is part of the result."""
        while not stop.is_set():
            self.poll_once()
            stop.wait(self._parts.settings.advanced.monitor_poll_s)

    def poll_once(self) -> NodeStatus:
        """Poll everything once, count events since the last poll, and queue notifications."""
        parts, now = self._parts, self._parts.database.clock()
        database_status, database = self._read_database_status()
        checks = (database, *_checks(parts.settings, database_status, now, parts))
        view = NodeStatus(
            at=now,
            checks=checks,
            database_status=database_status,
            disk=_disk(parts.settings),
            echoes=parts.echoes.answers(),
        )
        self.view = view
        if database_status is not None:
            self._note(view)
        return view

    def _read_database_status(self) -> tuple[DatabaseStatus | None, HealthCheck]:
        try:
            if not self.prepared.is_set():
                self._parts.prepare()
                self._board.begin()
                self.prepared.set()
            self._heartbeats.beat("monitor")
            self._add_up()
            database_status = read_database_status(self._parts.database, self._parts.rules)
        except TryAgain as reason:
            log.warning("the node cannot be polled: %s", reason)
            return None, HealthCheck(name="database", ok=False, reason=str(reason))
        return database_status, DATABASE_ANSWERS

    def _add_up(self) -> None:
        """Count new events; a long history is counted over several polls."""
        for add in (self._counters.add_events, self._counters.add_images):
            for _ in range(MOST_BATCHES_IN_A_LOOK):
                if not add():
                    break

    def _note(self, view: NodeStatus) -> None:
        settings = self._parts.settings
        wanted = {one.name: one.wanted for one in settings.monitor.notify}
        try:
            while self._board.note_events({kind: event.value for kind, event in TOLD_OF.items()}, wanted):
                pass
            now_s = self._parts.database.monotonic()
            late = self._late(view.ruled(settings).rules, view.at)
            wrong = self._patience.lasting(alarms(settings, view, late), now_s)
            if self._patience.knows_enough(now_s):
                self._board.note_alarms(wrong, wanted)
            self._board.forget_old()
            self._heartbeats.forget_old()
        except TryAgain as reason:
            log.warning("nothing recorded of this poll: %s", reason)

    def _late(self, rules: Sequence[Rule], now: datetime) -> list[LateJob]:
        found = []
        for rule in rules:
            if rule.alarm_s is not None:
                found += late_jobs(self._parts.database, rule.name, now - timedelta(seconds=rule.alarm_s))
        return found


def read_node_status(parts: MonitorParts) -> NodeStatus:
    """Poll a node without changing anything; raises TryAgain if the database is unavailable."""
    now = parts.database.clock()
    database_status = read_database_status(parts.database, parts.rules)
    checks = (DATABASE_ANSWERS, *_checks(parts.settings, database_status, now, parts))
    return NodeStatus(
        at=now, checks=checks, database_status=database_status, disk=_disk(parts.settings), echoes=()
    )


def read_database_status(database: Database, rules: RuleBook) -> DatabaseStatus:
    """Return the node's status according to the database."""
    with database.reading() as connection:
        hold, clock_doubt = read_hold(connection), read_clock_doubt(connection)
    held_reason = "" if hold is None else hold.reason
    return DatabaseStatus(
        figures=read_queue_statistics(database),
        signs=tuple(Heartbeats(database).all()),
        unsent=NotificationQueue(database).unsent(),
        held_reason=held_reason,
        clock_doubt=clock_doubt,
        rules=rules.current(),
        rules_differ=rules.file_differs(),
    )


def _checks(
    settings: Settings, database_status: DatabaseStatus | None, now: datetime, parts: MonitorParts
) -> Iterator[HealthCheck]:
    yield from check_storage(settings.node.storage_dir, parts.gauge)
    yield check_receiver(settings)
    yield check_model_server(parts.is_model_server_live, settings.triton_url)
    yield from check_constancy(settings.node.storage_dir)
    if database_status is not None:
        yield check_refused_images(database_status.figures.refused)
        yield check_hold(database_status.held_reason)
        yield check_clock(database_status.clock_doubt)
        yield from check_rules(database_status.rules, database_status.rules_differ)
        yield from check_roles(database_status.signs, ROLES, now, settings.advanced.silent_s)


def _disk(settings: Settings) -> DiskRoom | None:
    try:
        return disk_room(settings.node.storage_dir)
    except StorageUnavailable:
        return None
