"""What Python holds in the role receive after very many conversations: no more than after some."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference.ports import free_port
from reliability import loads
from reliability.sender import listens
from service.dimse.negotiation import AcceptedContext

pytestmark = pytest.mark.network

CACHED = f"{AcceptedContext.__module__}.{AcceptedContext.__qualname__}"
"""The cache of negotiations holds a fixed number of answers, with as many contexts as their requests had."""
GROWTH_BYTES = 256 << 10
"""Half a kilobyte a conversation; what comes and goes (the pool's weak references, what was refused lately) is less."""
UNSETTLED = "service.store.records.ReceivedInstance"


@dataclass(frozen=True, kw_only=True)
class Held:
    size_bytes: int
    threads: int
    own: Counter[str]


@dataclass(frozen=True, kw_only=True)
class Role:
    process: subprocess.Popen[str]
    port: int
    threads_at_rest: int

    def held(self) -> Held:
        """What is held once every thread of a connection has ended, and every record is settled."""
        deadline = time.monotonic() + 60
        while (held := ask(self.process)).threads > self.threads_at_rest or held.own[UNSETTLED]:
            assert time.monotonic() < deadline, "it does not come to rest"
            time.sleep(0.2)
        return held


def ask(process: subprocess.Popen[str]) -> Held:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    told = json.loads(process.stdout.readline())
    return Held(size_bytes=told["bytes"], threads=told["threads"], own=Counter(told["own"]))


@contextmanager
def role(folder: Path) -> Iterator[Role]:
    port = free_port()
    settings = folder / "settings.toml"
    settings.write_text(
        f'[node]\nstorage_dir = "{folder / "store"}"\nlog_level = "ERROR"\n'
        f'[receive]\nhost = "127.0.0.1"\nport = {port}\nnetwork_timeout_s = 2\nmax_connections_per_minute = 100000\n'
    )
    argv = [sys.executable, "-m", "tests.service.receive.memory_probe", str(settings)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not listens(port):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield Role(process=process, port=port, threads_at_rest=ask(process).threads)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(30) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("load", "some", "many"),
    [(loads.hostile, 80, 160), (loads.slices, 100, 400), (loads.associations, 20, 100)],
)
def test_nothing_is_held_of_what_is_over(
    tmp_path: Path, load: Callable[[int, range, int], None], some: int, many: int
) -> None:
    with role(tmp_path) as receiver:
        load(receiver.port, range(some), 5)
        before = receiver.held()
        load(receiver.port, range(some, some + many), 5)
        after = receiver.held()
    assert after.size_bytes - before.size_bytes < GROWTH_BYTES
    grown = {kind: count for kind, count in (after.own - before.own).items() if count > many / 10}
    grown.pop(CACHED, None)
    assert grown == {}
