"""Power cuts while scanners send: what the receiver acknowledged is on the disk of a real, journaled file system.

    .venv/bin/python -m reliability.power --rounds 20 --seed 1 --out runs/power   # --fs ext4 | xfs | btrfs; root only
    .venv/bin/python -m reliability.power --rounds 20 --seed 1 --out runs/broken --break     # without fsync: must fail

Each round starts `receive` on an empty disk, sends one to four series at once, cuts the power at a random instant (in a
third of the rounds a second time, while the node restarts), starts it on what the disk then has, and compares; then the
rest is sent and the series must be complete. Only fsync writes anything to the disk: a control file that is written
without it just before each cut must be gone. Exit code 1 if anything is wrong, 2 if there is no such disk.
"""

import argparse
import os
import random
import re
import signal
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree

from inference.ports import free_port
from reliability.cut_disk import FILE_SYSTEMS, CutDisk, NoSuchDisk, copy_image, make_image, mounted
from reliability.kept import missing_slices
from reliability.power_round import PowerCutRound, summary
from reliability.roles import RoleProcess
from reliability.sender import Scanner, listens
from reliability.series import Series, make_series
from reliability.unsynced import receive_without_sync
from service.config import load_settings
from service.store import Database, FileStore, JobRepository

_UNVERIFIED = "unverified"
_WITHIN_S = 60.0
_MOST_PADDING_BYTES = 200_000
_LONGEST_MOMENT_S = 0.03
_LONGEST_PAUSE_S = 1.5
_LONGEST_START_S = 0.4
_STARTED = re.compile(
    r"start: (\d+) unfinished objects removed, (\d+) files recorded again, (\d+) set aside, .* (\d+) recorded files gone"
)


@dataclass(kw_only=True)
class PowerTrial:
    """Where a run happens, and the choices that apply to all of its rounds."""

    folder: Path
    kind: str = "ext4"
    seed: int = 1
    is_broken: bool = False

    @property
    def settings_file(self) -> Path:
        """The node's settings."""
        return self.folder / "settings.toml"

    @property
    def log_file(self) -> Path:
        """The receiver's log, which is not on the disk that is cut."""
        return self.folder / "node.log"

    def run(self, rounds: int, first: int = 1) -> Iterator[PowerCutRound]:
        """Yield each round once it is over; raises NoSuchDisk if this machine cannot mount one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        empty = self.folder / "empty.img"
        make_image(empty, self.kind)
        for number in range(first, first + rounds):
            one = PowerCutRound(number=number)
            disk = self.folder / "disk.img"
            copy_image(empty, disk)
            try:
                self._run_round(one, disk)
            finally:
                for image in self.folder.glob("cut*.img"):
                    image.unlink()
            yield one

    def _run_round(self, one: PowerCutRound, image: Path) -> None:
        rng = random.Random(f"{self.seed}:{one.number}")
        port = _settings(self.settings_file, self.folder / "disk" / "store")
        for number in range(rng.randint(1, 4)):
            series = make_series(
                f"POWER-{self.seed}-{one.number}-{number}", rng.randint(5, 40), f"SCANNER{number}"
            )
            one.series.append(_padded(series, rng))
        for life in range(1 + (rng.random() < 1 / 3)):
            copy = self.folder / f"cut{life}.img"
            with mounted(image, self.kind, self.folder) as disk, self._receiver() as receiver:
                if life == 0:
                    scanners = _send(one, port)
                    _wait_for_the_instant(one, rng)
                else:
                    scanners = []
                    time.sleep(rng.random() * _LONGEST_START_S)
                _cut(one, disk, copy, receiver, rng)
                for scanner in scanners:
                    scanner.gives_up.set()
                    scanner.join()
            image = copy
        one.acknowledged = len(one.answers.slices())
        with mounted(image, self.kind, self.folder) as disk:
            one.wrong += self._after(one, disk, port)

    def _after(self, one: PowerCutRound, disk: CutDisk, port: int) -> list[str]:
        """Start on what the cut left, compare, send the rest, and compare again."""
        _look_at_control(one, disk)
        self.log_file.unlink(missing_ok=True)
        with self._receiver() as receiver:
            if not _listens_in_time(port, receiver):
                return [f"the node did not start again: exit code {receiver.exit_code()}"]
            receiver.stop()
        told = _STARTED.search(self.log_file.read_text(encoding="utf-8"))
        if told is None:
            return ["the start did not log what it found"]
        one.unfinished, one.recorded, one.set_aside, damaged = (int(number) for number in told.groups())
        found = [f"{damaged} rows without their file"] if damaged else []
        aside = len(list((disk.folder / "store" / _UNVERIFIED).iterdir()))
        if aside != one.set_aside:
            found.append(f"{aside} files in unverified/, {one.set_aside} in the log")
        found += self._missing(one)
        with self._receiver() as receiver:
            if not _listens_in_time(port, receiver):
                return [*found, "the node did not start to take the rest"]
            rest = _send(one, port)
            for scanner in rest:
                scanner.join()
            receiver.stop()
        found += [
            f"a series was never accepted completely after the cut: {one.answers}"
            for it in rest
            if not it.has_sent_all
        ]
        return found + one.answers.wrong() + [f"after the rest: {line}" for line in self._missing(one)]

    def _missing(self, one: PowerCutRound) -> list[str]:
        settings = load_settings(self.settings_file, {})
        assert settings.database_url.startswith("sqlite")
        database = Database(settings.database_url)
        try:
            found = missing_slices(
                JobRepository(database), FileStore(settings.node.storage_dir), one.answers.slices()
            )
        finally:
            database.close()
        with closing(sqlite3.connect(settings.database_url.partition("///")[2])) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
        return found if verdict == "ok" else [*found, f"the database is damaged: {verdict}"]

    @contextmanager
    def _receiver(self) -> Iterator[RoleProcess]:
        """Open a receiver and leave none behind, because the disk could then not be unmounted."""
        run = receive_without_sync if self.is_broken else None
        receiver = RoleProcess("receive", self.settings_file, self.log_file, run=run)
        try:
            yield receiver
        finally:
            receiver.kill()


def _send(one: PowerCutRound, port: int) -> list[Scanner]:
    """Start a scanner for the slices of each series that are not acknowledged."""
    known = one.answers.acknowledged
    scanners = []
    for series in one.series:
        left = tuple(it for it in series.slices if it.sop_instance_uid not in known)
        scanners.append(Scanner(replace(series, slices=left), port, one.answers, persist_s=_WITHIN_S))
        scanners[-1].start()
    return scanners


def _wait_for_the_instant(one: PowerCutRound, rng: random.Random) -> None:
    """Wait until any moment after the first slice, sometimes one after the recorder has had time to settle."""
    wanted = rng.randint(1, sum(len(series.slices) for series in one.series))
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline and len(one.answers.acknowledged) < wanted:
        time.sleep(0.001)
    time.sleep(rng.random() * (_LONGEST_PAUSE_S if rng.random() < 0.2 else _LONGEST_MOMENT_S))


def _cut(one: PowerCutRound, disk: CutDisk, copy: Path, receiver: RoleProcess, rng: random.Random) -> None:
    if one.cuts:
        _look_at_control(one, disk)
    if not receiver.is_alive():
        one.wrong.append(f"the receiver ended unexpectedly with {receiver.exit_code()}")
    _control(disk).write_bytes(b"never synced")
    one.cuts.append(disk.cut(copy, rng.getrandbits(32), lambda: os.kill(receiver.pid, signal.SIGKILL)))


def _look_at_control(one: PowerCutRound, disk: CutDisk) -> None:
    control = _control(disk)
    if control.exists() and control.read_bytes().strip(b"\0"):
        one.controls_kept += 1
        one.wrong.append("a file that was never synced survived the cut: the round proves nothing")


def _control(disk: CutDisk) -> Path:
    return disk.folder / "control"


def _listens_in_time(port: int, receiver: RoleProcess) -> bool:
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline and receiver.is_alive():
        if listens(port):
            return True
        time.sleep(0.01)
    return False


def _padded(series: Series, rng: random.Random) -> Series:
    """Return the series with slices of many sizes.

    Each gets a Data Set Trailing Padding (PS3.10 7.2) of random bytes.
    """
    slices = []
    for one in series.slices:
        padding = rng.randbytes(2 * rng.randint(0, _MOST_PADDING_BYTES // 2))
        element = struct.pack("<HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, len(padding)) + padding
        slices.append(replace(one, data_set=one.data_set + element))
    return replace(series, slices=tuple(slices))


def _settings(file: Path, storage: Path) -> int:
    port = free_port()
    file.write_text(
        f'[node]\nstorage_dir = "{storage.resolve()}"\n[receive]\nhost = "127.0.0.1"\nport = {port}\n'
        "[retention]\nrefuse_below_free_bytes = 0\n",
        encoding="utf-8",
    )
    return port


def main() -> None:
    """Print one line per round and the summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="number of the first round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fs", choices=tuple(FILE_SYSTEMS), default="ext4")
    parser.add_argument(
        "--break", dest="is_broken", action="store_true", help="a receiver that does not sync"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; emptied first")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is mounted is unmounted
    rmtree(arguments.out, ignore_errors=True)
    trial = PowerTrial(
        folder=arguments.out.absolute(), kind=arguments.fs, seed=arguments.seed, is_broken=arguments.is_broken
    )
    rounds: list[PowerCutRound] = []
    try:
        for one in trial.run(arguments.rounds, arguments.first):
            rounds.append(one)
            print(one, *one.wrong[:5], sep="\n    ", flush=True)
    except NoSuchDisk as reason:
        sys.stderr.write(f"no disk to cut: {reason}\n")
        raise SystemExit(2) from None
    print(f"seed {arguments.seed}, {arguments.fs}: {summary(rounds)}")
    wrong = [one for one in rounds if one.wrong]
    for one in wrong:
        print(
            f"repeat: --fs {arguments.fs} --seed {arguments.seed} --first {one.number} --rounds 1: {one.wrong[0]}"
        )
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
