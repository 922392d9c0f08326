"""The verbs that run one role of the node until they are told to stop."""

import argparse
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pkgutil import resolve_name

from service.config import Settings
from service.logs import start_log

Runner = Callable[[Settings, threading.Event], None]

RUNNERS: Mapping[str, str] = {
    "receive": "service.wiring.receive:receive",
    "assemble": "service.wiring.assemble:assemble",
    "work": "service.wiring.work:work",
    "send": "service.wiring.send:send",
    "retention": "service.wiring.retention:retention",
    "monitor": "service.wiring.monitor:monitor",
    "forward-audit": "service.wiring.audit:forward_audit",
    "triton": "service.wiring.triton:triton",
}
"""Where each role is built. By name: a process imports its own role's libraries, and no others."""

TRAIL = "service.wiring.audit:audit_trail"
WITHOUT_DATABASE = frozenset({"triton", "monitor"})  # run also while the database is away


def run(arguments: argparse.Namespace) -> int:
    """Run the role that is named as the verb."""
    return run_role(arguments.name, arguments.settings_tree)


def run_role(name: str, settings: Settings) -> int:
    """Run a role in this process until SIGTERM or SIGINT."""
    start_log(name, settings.node.log_level, settings.node.log_format)
    stop = stopped_by_signals()
    runner: Runner = resolve_name(RUNNERS[name])
    with nullcontext() if name in WITHOUT_DATABASE else _audited(settings, name):
        runner(settings, stop)
    return 0


@contextmanager
def _audited(settings: Settings, name: str) -> Iterator[None]:
    """Put the role's start and stop into the audit trail."""
    with resolve_name(TRAIL)(settings, name) as trail, trail.activity():
        yield


def stopped_by_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
