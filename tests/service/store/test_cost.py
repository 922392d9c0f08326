"""What is asked every few seconds does not go through everything there ever was: the plans, on a long history."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, event, func, select, text

from bench.history import fill
from service.config import Settings
from service.monitor.monitor import read_database_status
from service.rules import RuleBook
from service.store import (
    Database,
    JobFilter,
    JobLists,
    JobRepository,
    JobState,
    MetricCounters,
    NotificationQueue,
    Outbox,
    RetainedKind,
    RetentionPolicy,
    RetentionStore,
    SeriesRepository,
    WorkQueue,
    late_jobs,
    read_queue_statistics,
    utc_now,
)
from service.store.tables.schema import job

JOBS = 3000
BIG = ("job", "job_event", "delivery", "artifact", "instance", "series_fact")
Asked = list[tuple[str, object]]


@pytest.fixture
def long_history(database_url: str) -> Iterator[Database]:
    """A node after years, as the database knows it: Postgres has statistics of its tables, SQLite has none."""
    database = Database(database_url)
    fill(database, JOBS)
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("ANALYZE"))
    yield database
    database.close()


def test_no_query_of_a_look_or_of_an_idle_role_goes_through_all_of_a_big_table(
    long_history: Database,
) -> None:
    database = long_history
    book, counters, board = JobRepository(database), MetricCounters(database), NotificationQueue(database)
    board.begin()
    while counters.add_events() or counters.add_images():
        pass
    newest = book.list_jobs(limit=1)[0]
    hour_ago = database.clock() - timedelta(hours=1)
    looks: dict[str, Callable[[], object]] = {
        "figures": lambda: read_queue_statistics(database),
        "database_status": lambda: read_database_status(database, RuleBook(Settings(), database)),
        "late jobs": lambda: late_jobs(database, "head-neck", hour_ago),
        "counters": lambda: (counters.add_events(), counters.add_images()),
        "notifications": lambda: board.note_events({}, {}),
        "jobs": lambda: book.list_jobs(limit=50),
        "jobs of one state": lambda: book.list_jobs(states=[JobState.DONE], limit=50),
        "jobs of rare states": lambda: book.list_jobs(states=[JobState.QUEUED, JobState.FAILED], limit=50),
        "the page's list": lambda: JobLists(database).page(JobFilter(limit=50)),
        "a job": lambda: (book.job(newest.id), book.deliveries(newest.id), book.events(newest.id)),
        "assembler": lambda: SeriesRepository(database).open_jobs(),
        "study": lambda: SeriesRepository(database).series_of_study(newest.study_uid),
        "worker": lambda: WorkQueue(database)._anything_due(60),
        "sender": lambda: Outbox(database)._anything_due(60),
    }
    whole = {name: scans for name, look in looks.items() if (scans := scans_of(database, look))}
    assert whole == {}


def test_what_may_go_is_found_without_judging_everything_first(long_history: Database) -> None:
    """Asked for the first two hundred, the database must be able to stop at them: no sorting by anything else."""
    month, keeper = timedelta(days=30), RetentionStore(long_history)
    policy = RetentionPolicy(done_images=month, ended_images=month, other_objects=month, results=month)
    long_history.clock = lambda: utc_now() + 2 * month
    found = keeper.expired(policy, limit=200)
    assert {kind: sum(one.kind is kind for one in found) for kind in RetainedKind} == {
        RetainedKind.IMAGES: 200,
        RetainedKind.OTHERS: 0,
        RetainedKind.ARTIFACTS: 200,
    }
    ids = [one.row_id for one in found if one.kind is RetainedKind.IMAGES]
    assert ids == sorted(ids)
    if long_history.dialect.name == "sqlite":
        assert scans_of(long_history, lambda: keeper.expired(policy, limit=200)) == []


def test_the_check_sees_a_query_that_goes_through_everything(long_history: Database) -> None:
    def count() -> None:
        with long_history.reading() as connection:
            connection.execute(
                select(job.c.reason, func.count()).group_by(job.c.reason)
            ).all()  # no index has it

    assert scans_of(long_history, count)


def test_lists_by_state_are_the_newest_of_all_of_them(long_history: Database) -> None:
    book = JobRepository(long_history)
    states = [JobState.FAILED, JobState.REFUSED, JobState.QUEUED]
    everything = [job.id for job in book.list_jobs(limit=JOBS) if job.state in states]
    assert len(everything) > 60
    for limit in (1, 7, 50, JOBS):
        assert [job.id for job in book.list_jobs(states=states, limit=limit)] == everything[:limit]


def scans_of(database: Database, look: Callable[[], object]) -> list[str]:
    """The queries of a look whose plan reads a big table from end to end."""
    asked: Asked = []

    def keep(_c: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(database._engine, "before_cursor_execute", keep)
    look()
    event.remove(database._engine, "before_cursor_execute", keep)
    assert asked
    with database.reading() as connection:
        return [statement for statement, parameters in asked if _scans(connection, statement, parameters)]


def _scans(connection: Connection, statement: str, parameters: object) -> bool:
    """Whether the plan has a scan of a big table that is not ended by its first rows.

    Reading backwards by number until there are enough rows is no such scan, nor is an index of rare rows alone.
    """
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()  # type: ignore[arg-type]
        is_sorted = any(row[1] == 0 and "ORDER BY" in row[3] for row in rows)  # 1: the step's parent
        is_ended_early = "ORDER BY" in statement and "LIMIT" in statement and not is_sorted
        scanned = [row[3] for row in rows for table in BIG if f"{row[3]} ".startswith(f"SCAN {table} ")]
        return any(not step.endswith("_damaged") and not is_ended_early for step in scanned)
    rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)  # type: ignore[arg-type]
    return any(f"Seq Scan on {table} " in f"{row[0]} " for row in rows for table in BIG)
