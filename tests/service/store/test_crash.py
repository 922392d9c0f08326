"""kill -9 in the middle of reception: what was acknowledged is there, and every row has its file."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.store import Database, FileStore, JobRepository, SeriesRepository

SERIES = "1.2.3.7"
WRITER = """
import sys, threading, pathlib
from dataclasses import replace
from service.store import Database, FileStore, InstanceRecorder
from tests.support.arrivals import received
url, storage, first = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
files, recorder, lock = FileStore(storage), InstanceRecorder(Database(url)), threading.Lock()
def send(numbers):
    for number in numbers:
        one = received(number)
        file = files.put(one.sop_instance_uid, number.to_bytes(4, "big") * 5000, header=b"h" * 300)
        recorder.record(replace(one, file=file))
        with lock:
            sys.stdout.write(f"{one.sop_instance_uid}\\n"); sys.stdout.flush()
for lane in range(6):
    threading.Thread(target=send, args=(range(first + lane, first + 60000, 6),)).start()
"""


@pytest.mark.timeout(600)
def test_what_was_acknowledged_before_a_kill_is_there_after_it(database_url: str, tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    instants = random.Random(4)
    for round_number in range(3):
        acknowledged |= _write_until_killed(database_url, tmp_path, round_number, instants.uniform(0.05, 1.0))
        _check(database_url, tmp_path, acknowledged)
    assert acknowledged


def _write_until_killed(url: str, folder: Path, round_number: int, after_s: float) -> set[str]:
    out = folder / f"acknowledged-{round_number}"
    arguments = [sys.executable, "-c", WRITER, url, str(folder / "storage"), str(1 + 60000 * round_number)]
    with out.open("w") as stream, subprocess.Popen(arguments, stdout=stream) as writer:
        while out.stat().st_size == 0:
            assert writer.poll() is None
            time.sleep(0.01)
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
    return {line.strip() for line in out.read_text().splitlines(keepends=True) if line.endswith("\n")}


def _check(url: str, folder: Path, acknowledged: set[str]) -> None:
    database = Database(url)
    book, files = JobRepository(database), FileStore(folder / "storage")
    recorded = book.instances_of_series(SERIES)
    assert acknowledged <= {one.sop_instance_uid for one in recorded}
    assert all(files.verify(one.file) for one in recorded)
    files.remove_parts()
    assert list((folder / "storage" / "parts").iterdir()) == []
    on_disk = {str(path.relative_to(folder / "storage")) for path in (folder / "storage").glob("objects/*/*")}
    assert {one.file.path for one in recorded} <= on_disk
    (job,) = SeriesRepository(database).open_jobs()
    assert job.slice_count == len(recorded) == len(book.instances_of(job.id))
    database.close()
