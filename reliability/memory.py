"""Memory of a receiver over very many conversations, correct or hostile: whether it levels off.

    .venv/bin/python -m reliability.memory --load hostile --number 20000 --every 1000 --out runs/memory
    .venv/bin/python -m reliability.memory --load slices --number 20000 --every 1000 --out runs/memory
    .venv/bin/python -m reliability.memory --load associations --number 2000 --every 200 --out runs/memory
    .venv/bin/python -m reliability.memory --load crowd --number 6400 --every 640 --out runs/memory
    .venv/bin/python -m reliability.memory --load large --number 4 --every 1 --out runs/memory

Each line shows the receiver at rest, with every connection closed and its thread ended: resident and private memory,
the highest resident memory so far, threads, open descriptors. Exit code 1 if the last three quarters of the run left
more than 32 MiB.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from reliability.fuzz_network import Target, running_target
from reliability.loads import LOADS

_ENDS_WITHIN_S = 60.0
_MOST_GROWTH_KIB = 32 << 10


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The figures of the process at one moment."""

    resident_kib: int
    private_kib: int
    peak_kib: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> "Reading":
        """Read a process's memory figures from Linux."""
        rollup = _numbers(Path(f"/proc/{pid}/smaps_rollup"))
        status = _numbers(Path(f"/proc/{pid}/status"))
        return cls(
            resident_kib=rollup["Rss"],
            private_kib=rollup["Private_Clean"] + rollup["Private_Dirty"],
            peak_kib=status["VmHWM"],
            threads=status["Threads"],
            descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        )


def _numbers(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {words[0][:-1]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


def main() -> None:
    """Run one load and print the curve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--load", choices=sorted(LOADS), default="hostile")
    parser.add_argument("--number", type=int, default=20000)
    parser.add_argument("--every", type=int, default=1000, help="conversations, or images, between two lines")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; emptied first")
    arguments = parser.parse_args()
    rmtree(arguments.out, ignore_errors=True)
    with running_target(arguments.out / "receiver", by_command=True) as target:
        _say("number  resident KiB  private KiB  peak KiB  threads  descriptors  seconds")
        at_rest = target.threads()
        readings = [_tell(target, 0, 0.0)]
        load = LOADS[arguments.load]
        for start in range(0, arguments.number, arguments.every):
            stop = min(start + arguments.every, arguments.number)
            began = time.monotonic()
            load(target.port, range(start, stop), arguments.seed)
            seconds = time.monotonic() - began
            _wait_for_rest(target, at_rest)
            readings.append(_tell(target, stop, seconds))
    grown_kib = readings[-1].private_kib - readings[(len(readings) + 3) // 4].private_kib
    if grown_kib > _MOST_GROWTH_KIB:
        raise SystemExit(f"memory grew by {grown_kib} KiB")


def _tell(target: Target, number: int, seconds: float) -> Reading:
    now = Reading.of(target.process.pid)
    _say(
        f"{number:6d}  {now.resident_kib:12d}  {now.private_kib:11d}  {now.peak_kib:8d}  {now.threads:7d}  "
        f"{now.descriptors:11d}  {seconds:7.1f}"
    )
    return now


def _wait_for_rest(target: Target, threads: int) -> None:
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while target.threads() > threads:
        if time.monotonic() > deadline:
            raise SystemExit(f"{target.threads() - threads} threads have not ended")
        time.sleep(0.05)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
