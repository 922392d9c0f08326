"""Mutated files against every reader, in child processes with limited memory and limited time per input."""

import multiprocessing
import os
import random
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from types import FrameType

from reliability.finds import Find
from reliability.readers import FuzzedReader, readers

INPUT_WITHIN_S = 10.0
_STUCK_S = 40.0
_MEMORY_BYTES = 1_500_000_000
_MINIMISE_S = 6.0
_REPORT_EVERY = 25


class TooSlow(BaseException):
    """An input took longer than allowed; no reader catches this."""


@dataclass
class FilesReport:
    """How many inputs each reader got, the outcomes, and what was found."""

    inputs: dict[str, int] = field(default_factory=dict)
    results: dict[str, int] = field(default_factory=dict)  # inputs that were read, not refused
    slowest_s: dict[str, float] = field(default_factory=dict)
    finds: list[Find] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """What a child is to do."""

    reader: str
    seed: int
    start: int
    seconds: float
    most: int
    corpus: Path | None


def mutated(reader: FuzzedReader, samples: Sequence[bytes], seed: int, number: int) -> bytes:
    """Return the input with this number, which is always the same for the same samples."""
    rng = random.Random(f"{seed}:{reader.name}:{number}")
    return reader.mutate(rng.choice(samples), rng)


def outcome(reader: FuzzedReader, data: bytes) -> str:
    """Return ``read``, ``refused``, or what went wrong: the error and where it was raised."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns about what it tolerates
            reader.read(data)
    except reader.errors:
        return "refused"
    except (Exception, TooSlow, RecursionError, MemoryError) as error:  # noqa: BLE001 - a find, whatever it is
        places = traceback.extract_tb(error.__traceback__)
        ours = [place for place in places if "site-packages" not in place.filename] or list(places)
        where = f"{Path(ours[-1].filename).name}:{ours[-1].name}"
        return f"{type(error).__name__} in {where}: {str(error)[:200]}"
    return "read"


def fuzz_files(
    names: Sequence[str],
    *,
    seed: int,
    seconds: float,
    most: int = 1 << 60,
    corpus: Path | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> FilesReport:
    """Give each reader ``most`` inputs, or as many as its share of the time allows.

    Each kind of find is reported once.
    """
    report = FilesReport()
    for name in names:
        share_s = seconds / len(names)
        _fuzz_one(_Batch(reader=name, seed=seed, start=0, seconds=share_s, most=most, corpus=corpus), report)
        say(
            f"{name}: {report.inputs.get(name, 0)} inputs, {report.results.get(name, 0)} read, slowest "
            f"{report.slowest_s.get(name, 0):.2f} s, {sum(find.target == name for find in report.finds)} finds"
        )
    return report


def _fuzz_one(batch: _Batch, report: FilesReport) -> None:
    """Run children until the batch is done; a child that dies is a find, and the next one continues after it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reliability.readers"])
    start = 0
    until: float | None = None
    while start < batch.most and (until is None or time.monotonic() < until):
        left_s = batch.seconds if until is None else until - time.monotonic()
        began = time.monotonic()
        start = _child_run(context, replace(batch, start=start, seconds=left_s), report) + 1
        until = began + batch.seconds if until is None else until


def _child_run(context: ForkServerContext, batch: _Batch, report: FilesReport) -> int:
    """Run a child; return the number of the last input that it began."""
    ours, theirs = context.Pipe()
    child = context.Process(target=_work, args=(batch, theirs), daemon=True)
    child.start()
    theirs.close()
    last, ended_well = batch.start, False
    try:
        while ours.poll(_STUCK_S):
            message = ours.recv()
            if message is None:
                ended_well = True
                break
            last = _note(message, batch.reader, report)
    except EOFError:
        pass
    child.kill()
    child.join()
    if not ended_well:
        reader = readers(batch.corpus)[batch.reader]
        data = mutated(reader, reader.samples(), batch.seed, last)
        what = f"the process ended or stood still (exit code {child.exitcode})"
        report.finds.append(Find(target=batch.reader, what=what, data=data, seed=batch.seed, number=last))
        return last
    return batch.most


def _note(message: tuple[str, int, object], name: str, report: FilesReport) -> int:
    """Record a child's message: it begins an input, has a find, or reports its counts."""
    kind, number, value = message
    if kind == "counts" and isinstance(value, tuple):
        inputs, read, slowest_s = value
        report.inputs[name] = report.inputs.get(name, 0) + inputs
        report.results[name] = report.results.get(name, 0) + read
        report.slowest_s[name] = max(report.slowest_s.get(name, 0.0), slowest_s)
    elif isinstance(value, Find) and value.kind not in {find.kind for find in report.finds}:
        report.finds.append(value)
    return number


def _work(batch: _Batch, to_parent: Connection) -> None:
    """Process one input after the other, in the child; each number is sent before its input is read."""
    reader = readers(batch.corpus)[batch.reader]
    samples = reader.samples()
    _limit()
    known: set[str] = set()
    read = inputs = 0
    slowest_s = 0.0
    until = time.monotonic() + batch.seconds
    for number in range(batch.start, batch.most):
        if time.monotonic() > until:
            break
        to_parent.send(("begins", number, None))
        data = mutated(reader, samples, batch.seed, number)
        began = time.monotonic()
        found = _timed(reader, data)
        slowest_s = max(slowest_s, time.monotonic() - began)
        inputs += 1
        read += found == "read"
        if found not in ("read", "refused") and _kind(found) not in known:
            known.add(_kind(found))
            small = _minimised(reader, data, found)
            find = Find(target=reader.name, what=found, data=small, seed=batch.seed, number=number)
            to_parent.send(("find", number, find))
        if inputs % _REPORT_EVERY == 0:
            to_parent.send(("counts", number, (inputs, read, slowest_s)))
            inputs = read = 0
    to_parent.send(("counts", batch.most, (inputs, read, slowest_s)))
    to_parent.send(None)


def _limit() -> None:
    """Limit memory to what is in use now and a share; let the alarm raise TooSlow."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGALRM, _too_slow)


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow(f"not within {INPUT_WITHIN_S:g} s")


def _timed(reader: FuzzedReader, data: bytes) -> str:
    signal.setitimer(signal.ITIMER_REAL, INPUT_WITHIN_S)
    try:
        return outcome(reader, data)
    except TooSlow as error:  # between the reader's end and the alarm's
        return f"TooSlow in {reader.name}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _kind(found: str) -> str:
    return found.partition(":")[0] + found.partition(":")[2].partition(":")[0]


def _minimised(reader: FuzzedReader, data: bytes, found: str) -> bytes:
    """Return a shorter input with the same outcome, by leaving out ever smaller pieces."""
    deadline = time.monotonic() + _MINIMISE_S
    size = len(data) // 2
    while size >= 1 and time.monotonic() < deadline:
        place = 0
        while place < len(data) and time.monotonic() < deadline:
            shorter = data[:place] + data[place + size :]
            if _kind(_timed(reader, shorter)) == _kind(found):
                data = shorter
            else:
                place += size
        size //= 2
    return data
