"""kill -9 of the receiver, hundreds of times at random instants, while scanners send: nothing acknowledged is lost.

.venv/bin/python -m reliability.kills --kills 1000 --seed 1 --out runs/kills
"""

import argparse
import random
import socket
import threading
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from shutil import rmtree

from typing_extensions import override

from reliability.kept import missing_slices
from reliability.roles import RoleProcess
from reliability.sender import Scanner, listens
from reliability.series import AnswerLog, make_series
from service.config import load_settings
from service.store import Database, FileStore, JobRepository, upgrade

_SCANNERS = 3
_WITHIN_S = 30.0
_MOST_SLICES = 6
_LONGEST_MOMENT_S = 0.02
_LONGEST_START_S = 0.2
_KILLED_AT_START = 0.15
_CHECK_EVERY = 50


@dataclass
class KillReport:
    """What a run of kills did and found."""

    kills: int = 0
    answers: AnswerLog = field(default_factory=AnswerLog)
    lives_with_success: int = 0
    faults: list[str] = field(default_factory=list)

    @override
    def __str__(self) -> str:
        """Return one line."""
        refused = sum(n for status, n in self.answers.statuses.items() if status)
        return (
            f"{self.kills} kills, {self.lives_with_success} of them after a success: {len(self.answers.acknowledged)} "
            f"slices acknowledged, {self.answers.broken} stores cut, {refused} refused, {len(self.faults)} faults"
        )


def kill_receiver(folder: Path, kills: int, seed: int, database_url: str | None = None) -> KillReport:
    """Start and kill the receiver ``kills`` times: mostly while slices arrive, sometimes while it starts."""
    folder.mkdir(parents=True, exist_ok=True)
    settings_file, port = _settings(folder, database_url)
    settings = load_settings(settings_file, {})
    settings.node.storage_dir.mkdir(exist_ok=True)
    upgrade(settings.database_url)
    rng, report, stop = random.Random(seed), KillReport(), threading.Event()
    scanners = [
        threading.Thread(target=_scan, args=(number, seed, port, report.answers, stop))
        for number in range(_SCANNERS)
    ]
    for scanner in scanners:
        scanner.start()
    database = Database(settings.database_url)
    try:
        for report.kills in range(1, kills + 1):
            before = len(report.answers.acknowledged)
            receiver = RoleProcess("receive", settings_file, folder / "node.log")
            _live(rng, port, report.answers)
            if not receiver.is_alive():
                report.faults.append(
                    f"life {report.kills}: it ended unexpectedly with {receiver.exit_code()}"
                )
            receiver.kill()
            report.lives_with_success += len(report.answers.acknowledged) > before
            if report.kills % _CHECK_EVERY == 0 or report.kills == kills:
                report.faults += _missing(database, settings.node.storage_dir, report)
    finally:
        stop.set()
        for scanner in scanners:
            scanner.join()
        database.close()
    report.faults += report.answers.wrong()
    return report


def _live(rng: random.Random, port: int, answers: AnswerLog) -> None:
    """Wait for the instant of the kill: while it starts, or, mostly, a moment after some slices were acknowledged."""
    if rng.random() < _KILLED_AT_START:
        time.sleep(rng.random() * _LONGEST_START_S)
        return
    wanted = len(answers.acknowledged) + rng.randint(0, _MOST_SLICES)
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline and not (listens(port) and len(answers.acknowledged) >= wanted):
        time.sleep(0.002)
    time.sleep(rng.random() * _LONGEST_MOMENT_S)


def _scan(number: int, seed: int, port: int, answers: AnswerLog, stop: threading.Event) -> None:
    """Send one series after the other, until told to stop."""
    for which in count():
        series = make_series(f"KILL-{seed}-{number}-{which}", 12, f"SCANNER{number}")
        scanner = Scanner(series, port, answers, persist_s=600)
        scanner.start()
        while scanner.is_alive():
            scanner.join(0.05)
            if stop.is_set():
                scanner.gives_up.set()
        if stop.is_set():
            return


def _missing(database: Database, storage: Path, report: KillReport) -> list[str]:
    found = missing_slices(JobRepository(database), FileStore(storage), report.answers.slices())
    return [f"after {report.kills} kills: {one}" for one in found]


def _settings(folder: Path, database_url: str | None) -> tuple[Path, int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    database = "" if database_url is None else f'[database]\nurl = "{database_url}"\n'
    file = folder / "settings.toml"
    file.write_text(
        f'[node]\nstorage_dir = "{(folder / "store").resolve()}"\nlog_level = "WARNING"\n'
        f'[receive]\nhost = "127.0.0.1"\nport = {port}\n{database}'
    )
    return file, port


def main() -> None:
    """Print the report; exit with 1 if anything is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; emptied first")
    parser.add_argument("--database", help="a database URL; without it: SQLite in the folder")
    arguments = parser.parse_args()
    rmtree(arguments.out, ignore_errors=True)
    report = kill_receiver(arguments.out, arguments.kills, arguments.seed, arguments.database)
    print(f"seed {arguments.seed}: {report}")
    for fault in report.faults[:50]:
        print(fault)
    raise SystemExit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
