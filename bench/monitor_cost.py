"""The cost of a round of the role monitor, and of the commands that people wait for, on a node with a long history.

    python -m bench.monitor_cost --jobs 100000 --url sqlite:////tmp/long.sqlite      # or a Postgres URL

An empty database is filled first (a minute); one that has jobs is measured as it is.
"""

import argparse
import time
from collections.abc import Callable
from datetime import timedelta

from bench.history import long_history
from service.config import Settings
from service.monitor.checks import HealthCheck
from service.monitor.metrics import metrics_page
from service.monitor.monitor import read_database_status
from service.monitor.node_status import NodeStatus
from service.rules import RuleBook
from service.store import (
    AuditLog,
    Database,
    FailureReportQueue,
    JobLists,
    JobRepository,
    JobState,
    MetricCounters,
    NotificationQueue,
    Outbox,
    SeriesRepository,
    WorkQueue,
    late_jobs,
    read_queue_statistics,
    utc_now,
)

REPEATS = 5
RULES = {"rules": [{"name": "head-neck", "model": "hn_oar", "destinations": ["tps"]}]}
TREE = {name: {"ae_title": name.upper(), "host": "127.0.0.1", "port": 104} for name in ("tps", "archive")}


def main() -> None:
    """Fill an empty database, then measure; print medians in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--jobs", type=int, default=100_000)
    arguments = parser.parse_args()
    database = long_history(arguments.url, arguments.jobs)
    book = JobRepository(database)
    began = time.monotonic()
    board, counters = NotificationQueue(database), MetricCounters(database)
    board.begin()
    while counters.add_events() or counters.add_images():
        pass
    print(f"the history added up for the first time: {time.monotonic() - began:.1f} s")
    for name, what in _looked_at(database, book, board, counters).items():
        print(f"{_median_ms(what):9.2f} ms  {name}", flush=True)


def _looked_at(
    database: Database, book: JobRepository, board: NotificationQueue, counters: MetricCounters
) -> dict[str, Callable[[], object]]:
    settings = Settings.model_validate({**RULES, "peers": TREE})
    newest = book.list_jobs(limit=1)[0]
    rules = RuleBook(settings, database)
    outbox, repository, queue = Outbox(database), SeriesRepository(database), WorkQueue(database)
    checks = tuple(
        HealthCheck(name=name, ok=True, reason="")
        for name in ("database", "storage", "receiver", "model server")
    )
    view = NodeStatus(
        at=utc_now(),
        checks=checks,
        database_status=read_database_status(database, rules),
        disk=None,
        echoes=(),
    )
    return {
        "figures": lambda: read_queue_statistics(database),
        "database_status (figures, signs of life, unsent)": lambda: read_database_status(database, rules),
        "late jobs of a rule": lambda: late_jobs(database, "head-neck", utc_now() - timedelta(hours=1)),
        "counters, nothing new": lambda: (counters.add_events(), counters.add_images()),
        "notifications, nothing new": lambda: board.note_events({}, {}),
        "forget old notifications": board.forget_old,
        "page /metrics of a view": lambda: metrics_page(settings, view),
        "jobs": lambda: book.list_jobs(limit=50),
        "jobs --state done": lambda: book.list_jobs(states=[JobState.DONE], limit=50),
        "jobs --state failed": lambda: book.list_jobs(states=[JobState.FAILED], limit=50),
        "jobs --state queued": lambda: book.list_jobs(states=[JobState.QUEUED], limit=50),
        "jobs of a series": lambda: book.list_jobs(series_uid=newest.series_uid),
        "counts": JobLists(database).counts,
        "show": lambda: (book.job(newest.id), book.deliveries(newest.id), book.events(newest.id)),
        "audit": lambda: AuditLog(database).entries(limit=1000),
        "assembler: open jobs": repository.open_jobs,
        "assembler: series of a study": lambda: repository.series_of_study(newest.study_uid),
        "worker: anything due": lambda: queue._anything_due(60),
        "worker: next failure to tell": FailureReportQueue(database).next_failure,
        "sender: anything due": lambda: outbox._anything_due(60),
    }


def _median_ms(what: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        what()
        times.append(time.perf_counter() - began)
    return sorted(times)[REPEATS // 2] * 1000


if __name__ == "__main__":
    main()
