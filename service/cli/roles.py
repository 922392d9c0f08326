"""The verbs that run parts of the node until they are told to stop."""

import argparse
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from service import wiring
from service.config import Settings
from service.demo import run_demo
from service.journal import start_log
from service.supervise import Role, role_command, supervise
from service.tls import check_certificates

RUNNERS: dict[str, Callable[[Settings, threading.Event], None]] = {
    "receive": wiring.receive,
    "assemble": wiring.assemble,
    "work": wiring.work,
    "send": wiring.send,
    "keep": wiring.keep,
    "watch": wiring.watch,
    "forward-audit": wiring.audit,
    "triton": wiring.triton,
}


WITHOUT_DATABASE = frozenset({"triton", "watch"})  # run also while the database is away


def role(name: str) -> Callable[[argparse.Namespace], int]:
    """The command that runs one role in this process."""

    def run(arguments: argparse.Namespace) -> int:
        settings: Settings = arguments.settings_tree
        start_log(name, settings.node.log_level, settings.node.log_format)
        stop = stopped_by_signals()
        with nullcontext() if name in WITHOUT_DATABASE else _audited(settings, name):
            RUNNERS[name](settings, stop)
        return 0

    return run


@contextmanager
def _audited(settings: Settings, name: str) -> Iterator[None]:
    """Put the role's start and stop into the audit trail."""
    with wiring.audit_trail(settings, name) as trail, trail.activity():
        yield


def serve(arguments: argparse.Namespace) -> int:
    """Run every role as a child process, after everything that can be checked has been."""
    settings: Settings = arguments.settings_tree
    start_log("serve", settings.node.log_level, settings.node.log_format)
    wiring.templates(settings, wiring.model_specs(settings))
    check_certificates(settings)
    with wiring.opened_store(settings):
        pass
    names = ["triton"] if settings.triton.embedded else []
    names += ["receive", "assemble", "work", "send", "keep", "watch"]
    names += ["forward-audit"] if settings.audit.syslog is not None else []
    roles = [Role(name=name, arguments=role_command((name,), arguments.settings)) for name in names]
    supervise(roles, stopped_by_signals())
    return 0


def migrate(arguments: argparse.Namespace) -> int:
    """Bring the database's schema to this version."""
    with wiring.opened_store(arguments.settings_tree) as store:
        store.database.check()
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """Run the main job once, on embedded defaults."""
    start_log("demo", "WARNING")
    return run_demo(arguments.ct, arguments.out)


def stopped_by_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
