"""Starts comparisons, each in a process of its own and a few at a time; and which sets there are to compare."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from imaging.errors import PARSE_ERRORS
from service.assemble.returned_sets import references_of
from service.errors import Refused, TryAgain
from service.store import FileDamaged
from service.store.jobs.kept_sets import KeptSet, SetOrigin
from service.store.jobs.returned_sets import RT_STRUCTURE_SET
from service.store.objects import StoredContent
from service.web.comparison.task import ComparisonTask
from service.web.images import Shelf

MOST_AT_ONCE = 2
PATIENCE_S = 20.0
"""How long a comparison waits for others to end."""
GIVEN_UP_S = 180.0
_named_series = Shelf(500, 3600.0)
"""The series that received sets name, by the SHA-256 of their files: a page asks for them each time it opens."""
_places = threading.BoundedSemaphore(MOST_AT_ONCE)


class SetsDiffer(Refused):
    """The two sets cannot be compared: other images, another patient, or no structure set."""


def run_comparison(task: ComparisonTask, a: bytes, b: bytes) -> dict[str, Any]:
    """Compare set B with set A in a process of its own.

    Raises:
        SetsDiffer: they cannot be compared; the message says why.
        TryAgain: too many others are being compared.
    """
    if RT_STRUCTURE_SET.encode() not in b:  # also of a compressed one, whose file header is not
        raise SetsDiffer(f"this is no RT Structure Set: it names the class {RT_STRUCTURE_SET} nowhere")
    line = task.as_line(a_bytes=len(a))
    with _place():
        try:
            done = subprocess.run(
                [sys.executable, "-m", "service.web.comparison.worker"],
                input=line + a + b,
                capture_output=True,
                timeout=GIVEN_UP_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SetsDiffer(f"the comparison took longer than {GIVEN_UP_S:g} s") from None
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise SetsDiffer("the comparison took more of the processor or of memory than the node gives it")
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")[-1500:]
        raise RuntimeError(f"the comparison ended with {done.returncode}: {said}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if "refused" in answer:
        raise SetsDiffer(answer["refused"])
    return answer


@contextmanager
def _place() -> Iterator[None]:
    if not _places.acquire(timeout=PATIENCE_S):
        raise TryAgain(f"{MOST_AT_ONCE} other comparisons are running; try again in a moment")
    try:
        yield
    finally:
        _places.release()


def on_series(kept: list[KeptSet], series_uid: str, content: StoredContent) -> list[KeptSet]:
    """Return the sets that are drawn on a series; of received ones the file says so, and one without a file is none."""
    return [
        one for one in kept if one.origin is not SetOrigin.RECEIVED or _names_series(one, series_uid, content)
    ]


def _names_series(one: KeptSet, series_uid: str, content: StoredContent) -> bool:
    try:
        return series_uid in _named_series.get(
            one.file.sha256, lambda: references_of(content.received.read_whole(one.file)).series_uids
        )
    except (FileDamaged, *PARSE_ERRORS):
        return False
