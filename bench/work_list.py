"""The cost of the work list, the search and a back-test on a node with a long history.

    python -m bench.work_list --jobs 100000 --url sqlite:////tmp/long.sqlite      # or a Postgres URL

An empty database is filled first (a minute); one that has jobs is measured as it is. Every figure covers the queries
that the page makes and turning rows into values; the template takes 1 ms more.
"""

import argparse
import time
from collections.abc import Callable

from bench.history import long_history
from service.store import Database, JobFilter, JobLists, JobState
from service.store.jobs.past_series import read_past_series

REPEATS = 7
PAGE = 51


def main() -> None:
    """Fill an empty database, then measure; print medians in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--jobs", type=int, default=100_000)
    arguments = parser.parse_args()
    database = long_history(arguments.url, arguments.jobs)
    lists = JobLists(database)
    for name, what in _asked(database, lists, arguments.jobs).items():
        median, processor = _times_ms(what)
        print(f"{median:9.2f} ms, {processor:9.2f} of this process  {name}", flush=True)
    database.close()


def _asked(database: Database, lists: JobLists, jobs: int) -> dict[str, Callable[[], object]]:
    def page(**wanted: object) -> Callable[[], object]:
        return lambda: lists.page(JobFilter(limit=PAGE, **wanted))  # type: ignore[arg-type]

    def past(number: int) -> Callable[[], object]:
        def read() -> object:
            with database.reading() as connection:
                return read_past_series(connection, number)

        return read

    middle = str(jobs // 2)
    return {
        "the first page": page(),
        "jobs that need a person": lambda: lists.needing_a_person(),
        "a page in the middle": page(before_id=jobs // 2),
        "failed ones": page(states=(JobState.FAILED, JobState.REFUSED)),
        "waiting ones": page(states=(JobState.WAITING, JobState.RETRYING)),
        "done ones of a rule": page(states=(JobState.DONE,), rule="head-neck"),
        "a rule that has no job": page(rule="nobody"),
        "search: a name that many have": page(text="kowal"),
        "search: one old patient": page(text=f"pid-{int(middle):07d}"),
        "search: two words": page(text="anna kowalski"),
        "search: nobody": page(text="xyzzyx"),
        "search: two letters": page(text="qx"),
        "search: a job's number": page(text=middle),
        "search: a UID": page(text=f"1.2.826.0.1.{middle}.7"),
        "counts by state": lambda: lists.counts(),
        "jobs by rule, 7 days": lambda: lists.by_rule(),
        "last words of destinations": lambda: lists.last_words(),
        "events after the newest but 100": lambda: lists.events_after(lists.newest_event() - 100, 500),
        "facts of the last 500 series": past(500),
    }


def _times_ms(what: Callable[[], object]) -> tuple[float, float]:
    """Return the medians, in ms, of wall time and of this process's processor time, which includes SQLite's."""
    times, processor = [], []
    for _ in range(REPEATS):
        began, busy = time.monotonic(), time.process_time()
        what()
        times.append((time.monotonic() - began) * 1000)
        processor.append((time.process_time() - busy) * 1000)
    return sorted(times)[REPEATS // 2], sorted(processor)[REPEATS // 2]


if __name__ == "__main__":
    main()
