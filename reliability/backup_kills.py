"""kill -9 of `backup` and of `restore` at random instants: whatever is taken for a backup or a node is complete.

.venv/bin/python -m reliability.backup_kills --kills 30 --seed 1 --out runs/backup-kills
"""

import argparse
import multiprocessing
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import override

from reliability.series import make_series
from service.errors import Refused
from service.store import (
    Database,
    FileStore,
    InstanceRecorder,
    JobRepository,
    NodeIdentity,
    NotAllowed,
    ReceivedInstance,
    make_backup,
    read_backup,
    read_hold,
    require_recorded,
    restore,
    upgrade,
)
from service.store.objects import StoredContent


@dataclass
class BackupKillReport:
    """What a run of kills did and found."""

    backups_killed: int = 0
    backups_whole: int = 0  # of those killed: the kill came after they had ended
    restores_killed: int = 0
    found: dict[str, int] = field(default_factory=dict)  # after a killed restore
    faults: list[str] = field(default_factory=list)

    @override
    def __str__(self) -> str:
        """Return one line."""
        found = ", ".join(f"{count} {what}" for what, count in sorted(self.found.items()))
        return (
            f"{self.backups_killed} backups killed ({self.backups_whole} were whole already), {self.restores_killed} "
            f"restores killed ({found}), {len(self.faults)} faults"
        )


def kill_backups(folder: Path, kills: int, seed: int, images: int = 60) -> BackupKillReport:
    """Kill ``kills`` backups of a node with ``images`` images, and as many restores, each at a random instant."""
    rng, report = random.Random(seed), BackupKillReport()
    url, root = f"sqlite:///{folder / 'node.sqlite'}", folder / "storage"
    _fill(url, root, images, seed)
    lasts_s = _timed(_back_up, url, root, folder / "first")
    for number in range(kills):
        target = folder / f"backups-{number}"
        _killed(rng.uniform(0, lasts_s), _back_up, url, root, target)
        report.backups_killed += 1
        for made in sorted(target.glob("20*")) if target.exists() else ():
            try:
                read_backup(made)
            except Refused:
                continue
            report.backups_whole += 1
            report.faults += _wrong(folder / "check", made, images, f"backup {number}")
        shutil.rmtree(target, ignore_errors=True)
    (whole,) = (folder / "first").glob("20*")
    place = folder / "restored"
    lasts_s = _timed(_restore, place, whole)
    shutil.rmtree(place)
    for number in range(kills):
        _killed(rng.uniform(0, lasts_s), _restore, place, whole)
        report.restores_killed += 1
        state = _state(place, report, f"restore {number}")
        report.found[state] = report.found.get(state, 0) + 1
        report.faults += _wrong(place, whole, images, f"restore {number}, again")
    return report


def _state(place: Path, report: BackupKillReport, what: str) -> str:
    """Start a node on what a killed restore left; return what that is, and note a fault if it is half a node."""
    database_file = place / "node.sqlite"
    is_begun = database_file.with_name("node.sqlite.restored").exists()
    if not database_file.exists() and not is_begun:
        return "not begun"
    try:
        upgrade(f"sqlite:///{database_file}")
    except Refused:
        return "refused a start"
    if is_begun and not database_file.with_name("node.sqlite.restored").exists():
        report.faults.append(f"{what}: a start accepted a half restored database")
    database = Database(f"sqlite:///{database_file}")
    try:
        with database.reading() as connection:
            held = read_hold(connection)
            if held is None:
                report.faults.append(f"{what}: the node is not held")
                return "not held"
            try:
                require_recorded(connection)
                report.faults.append(f"{what}: can be released before its start")
            except NotAllowed as reason:
                return "held, files missing" if "not all copied" in str(reason) else "held, whole"
    finally:
        database.close()
    return "held"


def _wrong(place: Path, backup: Path, images: int, what: str) -> list[str]:
    """Restore a backup, perhaps once more, and return what differs from the original."""
    restore(
        f"sqlite:///{place / 'node.sqlite'}", StoredContent.in_folder(place / "storage"), read_backup(backup)
    )
    database, files = Database(f"sqlite:///{place / 'node.sqlite'}"), FileStore(place / "storage")
    try:
        rows = [
            one
            for job in JobRepository(database).list_jobs()
            for one in JobRepository(database).instances_of_series(job.series_uid)
        ]
        is_held = NodeIdentity(database, place / "storage").why_held() != ""
    finally:
        database.close()
    bad = sum(not files.verify(one.file) for one in rows)
    shutil.rmtree(place)
    if len(rows) == images and bad == 0 and is_held:
        return []
    return [f"{what}: {len(rows)} of {images} rows, {bad} bad files, held: {is_held}"]


def _fill(url: str, root: Path, images: int, seed: int) -> None:
    upgrade(url)
    database, files = Database(url), FileStore(root)
    NodeIdentity(database, root).settle()
    with InstanceRecorder(database) as recorder:
        for one in make_series(f"BACKUP-{seed}", images, "SCANNER").slices:
            recorder.record(
                ReceivedInstance(
                    sop_instance_uid=one.sop_instance_uid,
                    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
                    series_uid=one.series_uid,
                    study_uid="1.2.3",
                    modality="CT",
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    calling_aet="SCANNER",
                    called_aet="NODE",
                    peer_host="127.0.0.1",
                    file=files.put(one.sop_instance_uid, one.data_set),
                )
            )
    database.close()


def _back_up(url: str, root: Path, target: Path) -> None:
    database = Database(url)
    make_backup(database, url, StoredContent.in_folder(root), target, with_images=True)
    database.close()


def _restore(place: Path, backup: Path) -> None:
    restore(
        f"sqlite:///{place / 'node.sqlite'}", StoredContent.in_folder(place / "storage"), read_backup(backup)
    )


def _killed(after_s: float, run: Callable[..., None], *arguments: Any) -> None:
    """Run a function in a separate process, and kill it after a time unless it has ended."""
    process = multiprocessing.get_context("fork").Process(target=run, args=arguments)
    process.start()
    process.join(after_s)
    process.kill()
    process.join()


def _timed(run: Callable[..., None], *arguments: Any) -> float:
    """Return how long a complete run takes, in seconds."""
    began = time.monotonic()
    _killed(600, run, *arguments)
    return time.monotonic() - began


def main() -> None:
    """Print the report; exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; emptied first")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    report = kill_backups(arguments.out.resolve(), arguments.kills, arguments.seed)
    print(f"seed {arguments.seed}: {report}")
    for fault in report.faults[:50]:
        print(fault)
    raise SystemExit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
