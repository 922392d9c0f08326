"""kill -9 of what takes objects in, hundreds of times at random instants: what it acknowledged is there, once.

Scanners send to the receiver by C-STORE, or programs post to the page's role by STOW-RS.

.venv/bin/python -m reliability.kills --kills 1000 --seed 1 --out runs/kills
.venv/bin/python -m reliability.kills --by stow --kills 1000 --seed 1 --out runs/stow-kills
"""

import argparse
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path
from shutil import rmtree

from typing_extensions import override

from inference.ports import free_port
from reliability.kept import missing_slices
from reliability.roles import RoleProcess
from reliability.sender import Scanner, listens
from reliability.series import AnswerLog, Series, make_series
from reliability.stow_sender import StowSender
from service.application import Actor, ActorKind, ActorRole, TokenScope, create_token
from service.config import load_settings
from service.store import Database, FileStore, JobRepository, upgrade

_SCANNERS = 3
_WITHIN_S = 30.0
_MOST_SLICES = 6
_LONGEST_MOMENT_S = 0.02
_LONGEST_START_S = 0.2
_KILLED_AT_START = 0.15
_CHECK_EVERY = 50
_SLICES = 12
_ADMIN = Actor(kind=ActorKind.PERSON, name="trial", role=ActorRole.ADMIN, entry="cli", sees_patients=True)


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


class Intake(StrEnum):
    """How objects come."""

    C_STORE = "c-store"
    STOW = "stow"

    @property
    def role(self) -> str:
        """The role that takes them in, and is killed."""
        return "receive" if self is Intake.C_STORE else "web"


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """What is under trial, and how its senders send."""

    intake: Intake
    port: int
    token: str
    seed: int
    report: KillReport
    book: JobRepository
    files: FileStore

    def sender(self, series: Series, answers: AnswerLog) -> Scanner | StowSender:
        """Return a thread that sends a series until all of it is acknowledged."""
        if self.intake is Intake.C_STORE:
            return Scanner(series, self.port, answers, persist_s=600)
        return StowSender(series, self.port, answers, token=self.token, seed=self.seed)

    def scan(self, number: int, stop: threading.Event) -> None:
        """Send one series after the other, until nobody takes them any more."""
        for which in count():
            name = f"KILL-{self.seed}-{number}-{which}"
            sender = self.sender(make_series(name, _SLICES, f"SCANNER{number}"), self.report.answers)
            sender.start()
            while sender.is_alive():
                sender.join(0.05)
                if stop.is_set():
                    sender.gives_up.set()
            if stop.is_set():
                return

    def missing(self) -> list[str]:
        """Compare what was acknowledged with what there is."""
        found = missing_slices(self.book, self.files, self.report.answers.slices())
        return [f"after {self.report.kills} kills: {one}" for one in found]

    def doubled(self) -> list[str]:
        """Send the first series of every sender again: it is acknowledged, and nothing is there twice."""
        again = [
            make_series(f"KILL-{self.seed}-{number}-0", _SLICES, f"SCANNER{number}")
            for number in range(_SCANNERS)
        ]
        self._send(again, AnswerLog())  # brings what the last kill cut
        before, answers = self._counted(), AnswerLog()
        self._send(again, answers)
        after = self._counted()
        found = [] if after == before else [f"sent again, (files, rows, jobs) went from {before} to {after}"]
        if len(answers.acknowledged) != _SCANNERS * _SLICES:
            found.append(
                f"sent again, {len(answers.acknowledged)} of {_SCANNERS * _SLICES} slices were acknowledged"
            )
        return found + answers.wrong()

    def _send(self, many: Sequence[Series], answers: AnswerLog) -> None:
        for series in many:
            sender = self.sender(series, answers)
            sender.start()
            sender.join(_WITHIN_S)

    def left_over(self) -> list[str]:
        """Say which torn uploads and files without a row there still are, once the role has had its time to tidy."""
        deadline = time.monotonic() + _WITHIN_S
        while (found := self._left_over()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def _left_over(self) -> list[str]:
        root = self.files.root
        torn = [f"{part.name} was left behind" for part in (root / "parts").iterdir()]
        aside = [f"{file.name} was set aside" for file in (root / "unverified").iterdir()]
        named = {path for folder, _ in self.files.folders() for path in self.book.received_in(folder)}
        there = {path for _, entries in self.files.folders() for path in entries}
        return torn + aside + [f"{path} has no row" for path in sorted(there - named)]

    def _counted(self) -> tuple[int, int, int]:
        folders = list(self.files.folders())
        rows = sum(len(self.book.received_in(folder)) for folder, _ in folders)
        return sum(len(entries) for _, entries in folders), rows, len(self.book.list_jobs())


def kill_intake(
    folder: Path, kills: int, seed: int, *, by: Intake = Intake.C_STORE, database_url: str | None = None
) -> KillReport:
    """Start and kill the role that takes objects in ``kills`` times: most while slices come, some while it starts."""
    folder.mkdir(parents=True, exist_ok=True)
    settings_file, ports = _settings(folder, database_url)
    settings = load_settings(settings_file, {})
    settings.node.storage_dir.mkdir(exist_ok=True)
    upgrade(settings.database_url)
    report, stop = KillReport(), threading.Event()
    database = Database(settings.database_url)
    trial = _Trial(
        intake=by,
        port=ports[by],
        token=create_token(database, _ADMIN, "TRIAL", [TokenScope.DICOMWEB_STORE], days=1).secret,
        seed=seed,
        report=report,
        book=JobRepository(database),
        files=FileStore(settings.node.storage_dir),
    )
    senders = [threading.Thread(target=trial.scan, args=(number, stop)) for number in range(_SCANNERS)]
    for sender in senders:
        sender.start()
    try:
        _kill(trial, kills, settings_file)
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    role = RoleProcess(by.role, settings_file, folder / "node.log")
    report.faults += trial.left_over() + trial.doubled() + trial.left_over() + trial.missing()
    if role.stop() != 0:
        report.faults.append(f"it ended with {role.exit_code()} when it was stopped")
    database.close()
    report.faults += report.answers.wrong()
    return report


def _kill(trial: _Trial, kills: int, settings_file: Path) -> None:
    rng, report = random.Random(trial.seed), trial.report
    for report.kills in range(1, kills + 1):
        before = len(report.answers.acknowledged)
        role = RoleProcess(trial.intake.role, settings_file, settings_file.with_name("node.log"))
        _live(rng, trial.port, report.answers)
        if not role.is_alive():
            report.faults.append(f"life {report.kills}: it ended unexpectedly with {role.exit_code()}")
        role.kill()
        report.lives_with_success += len(report.answers.acknowledged) > before
        if report.kills % _CHECK_EVERY == 0 or report.kills == kills:
            report.faults += trial.missing()


def _live(rng: random.Random, port: int, answers: AnswerLog) -> None:
    """Wait for the instant of the kill: while it starts, or, mostly, a moment after some slices were acknowledged."""
    if rng.random() < _KILLED_AT_START:
        time.sleep(rng.random() * _LONGEST_START_S)
        return
    wanted = len(answers.acknowledged) + rng.randint(0, _MOST_SLICES)
    deadline = time.monotonic() + _WITHIN_S
    while not listens(port) and time.monotonic() < deadline:
        time.sleep(0.01)
    while len(answers.acknowledged) < wanted and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(rng.random() * _LONGEST_MOMENT_S)


def _settings(folder: Path, database_url: str | None) -> tuple[Path, dict[Intake, int]]:
    ports = {intake: free_port() for intake in Intake}
    database = "" if database_url is None else f'[database]\nurl = "{database_url}"\n'
    file = folder / "settings.toml"
    file.write_text(
        f'[node]\nstorage_dir = "{(folder / "store").resolve()}"\nlog_level = "WARNING"\n'
        f'[receive]\nhost = "127.0.0.1"\nport = {ports[Intake.C_STORE]}\n'
        f"[web]\nport = {ports[Intake.STOW]}\n{database}"
    )
    return file, ports


def main() -> None:
    """Print the report; exit with 1 if anything is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--by", type=Intake, choices=list(Intake), default=Intake.C_STORE, help="how objects come"
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; emptied first")
    parser.add_argument("--database", help="a database URL; without it: SQLite in the folder")
    arguments = parser.parse_args()
    rmtree(arguments.out, ignore_errors=True)
    report = kill_intake(
        arguments.out, arguments.kills, arguments.seed, by=arguments.by, database_url=arguments.database
    )
    print(f"seed {arguments.seed}: {report}")
    for fault in report.faults[:50]:
        print(fault)
    raise SystemExit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
