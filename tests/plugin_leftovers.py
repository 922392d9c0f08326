"""Says at the end of the session what tests left behind: processes, mounts, listening sockets, shared memory.

With --require-clean it fails the run. Each process of the tests looks after its own: what it started bears its mark.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from inference.shared_region import FOLDER, PREFIX

MARK = "PYTEST_SESSION_MARK"
# Helpers of multiprocessing and workers of pytest-xdist end with their parent: they still run when its session ends.
_END_WITH_THEIR_PARENT = (
    "from multiprocessing.forkserver import main",
    "from multiprocessing.resource_tracker import main",
    "exec(eval(sys.stdin.readline()))",
)
PATIENCE_S = 10.0  # what was told to end may take a moment on a busy machine
_BELOW = [tempfile.gettempdir()]
_FOUND = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-clean", action="store_true", help="fail where tests left something behind")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    os.environ[MARK] = uuid4().hex
    session.config.stash[_FOUND] = []
    if session.config.option.basetemp:
        _BELOW[0] = str(Path(session.config.option.basetemp).absolute())


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    found = session.config.stash[_FOUND]
    found += leftovers(os.environ[MARK])
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["leftovers"] = found
    elif found and session.config.option.require_clean and not exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    node.config.stash[_FOUND] += getattr(node, "workeroutput", {}).get("leftovers", [])  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    found = terminalreporter.config.stash.get(_FOUND, [])
    if found:
        terminalreporter.section("left behind by tests")
        for line in found:
            terminalreporter.line(line)


def leftovers(mark: str) -> list[str]:
    """Return in words what this process's tests left; what is about to end gets a moment."""
    deadline = time.monotonic() + PATIENCE_S
    found = list(_left(mark))
    while found and time.monotonic() < deadline:
        time.sleep(0.2)
        found = list(_left(mark))
    return found


def _mounts() -> list[str]:
    """Return where something is mounted below a folder of the tests; pytest's own is named by it or by --basetemp."""
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [place for place in (line.split()[1] for line in lines) if place.startswith(_BELOW[0])]


def _left(mark: str) -> Iterator[str]:
    yield from _processes(mark)
    yield from (f"mount {place}" for place in _mounts())
    for one in psutil.Process().net_connections("all"):
        if one.status == psutil.CONN_LISTEN:
            yield f"socket that listens on {one.laddr}"
    for link in Path("/proc/self/fd").iterdir():
        target = link.readlink() if link.is_symlink() else link
        if str(target).startswith(f"{FOLDER}/{PREFIX}") and target.exists():
            yield f"shared memory {target}"


def _processes(mark: str) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            is_own = process.environ().get(MARK) == mark and process.pid != os.getpid()
            if is_own and process.status() != psutil.STATUS_ZOMBIE and not _ends_with_us(process):
                yield f"process {process.pid}: {' '.join(process.cmdline())[:200]}"
        except psutil.Error:
            continue


def _ends_with_us(process: psutil.Process) -> bool:
    command = " ".join(process.cmdline())
    return process.ppid() == os.getpid() and any(one in command for one in _END_WITH_THEIR_PARENT)
