"""Runs every role of the node as a child process and restarts those that end."""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inference.child_process import die_with_parent

log = logging.getLogger(__name__)

RESTART_DELAYS_S = (1.0, 2.0, 5.0, 15.0, 30.0)
STABLE_AFTER_S = 60.0
STOP_GRACE_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Role:
    """One process of the node: its name and its command line."""

    name: str
    arguments: tuple[str, ...]


@dataclass(kw_only=True)
class _Child:
    role: Role
    process: subprocess.Popen[bytes]
    started: float
    failures: int = 0
    restart_at: float | None = field(default=None)


def supervise(roles: Sequence[Role], stop: threading.Event, poll_s: float = 0.2) -> None:
    """Keep one process per role running until ``stop`` is set, then stop them all.

    A role that exits unexpectedly is restarted after 1, 2, 5, 15, then 30 s; running for a minute resets the delay.
    The children end with this process, even if it is killed, so that a restart finds ports and leases free.
    """
    children = [_start(role) for role in roles]
    try:
        while not stop.wait(poll_s):
            for child in children:
                _watch(child)
    finally:
        _stop(children)


def role_command(arguments: Sequence[str], settings_file: Path | None) -> tuple[str, ...]:
    """Return the command line of one role, with this interpreter and these settings."""
    options = () if settings_file is None else ("--settings", str(settings_file))
    return (sys.executable, "-m", "service", *arguments, *options)


def _start(role: Role) -> _Child:
    process = subprocess.Popen(role.arguments, preexec_fn=die_with_parent)
    log.info("role %s started as process %d", role.name, process.pid)
    return _Child(role=role, process=process, started=time.monotonic())


def _watch(child: _Child) -> None:
    now = time.monotonic()
    if child.restart_at is not None:
        if now >= child.restart_at:
            again = _start(child.role)
            child.process, child.started, child.restart_at = again.process, again.started, None
        return
    code = child.process.poll()
    if code is None:
        return
    child.failures = 1 if now - child.started > STABLE_AFTER_S else child.failures + 1
    delay = RESTART_DELAYS_S[min(child.failures, len(RESTART_DELAYS_S)) - 1]
    log.error("role %s ended with exit code %d; starting it again in %g s", child.role.name, code, delay)
    child.restart_at = now + delay


def _stop(children: Sequence[_Child]) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_GRACE_S
    for child in children:
        try:
            child.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("role %s did not stop within %g s; killing it", child.role.name, STOP_GRACE_S)
            child.process.kill()
            child.process.wait()
