"""The verbs that run one role of the node until a signal stops it, and `serve`, which runs all of them."""

import argparse
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from service.cli.store_owner import expect_own
from service.components import (
    audit_writer,
    model_library,
    opened_for_role,
    prepare,
    rule_book,
    storage_folder,
)
from service.config import Settings, loose_files
from service.logs import start_log
from service.ports import expect_free
from service.rules import require_fit
from service.store.files.owner import owned
from service.wiring import ROLES

log = logging.getLogger(__name__)
WITHOUT_DATABASE = frozenset({"triton", "monitor"})  # these also run while the database is not available


def run(arguments: argparse.Namespace) -> int:
    """Run the role with the name of the verb."""
    return run_role(arguments.name, arguments.settings_tree)


def run_role(name: str, settings: Settings) -> int:
    """Run a role in this process until SIGTERM or SIGINT."""
    start_log(name, settings.node.log_level, settings.node.log_format)
    stop = stopped_by_signals()
    run = ROLES[name]()
    with nullcontext() if name in WITHOUT_DATABASE else _audited(settings, name):
        run(settings, stop)
    return 0


@contextmanager
def _audited(settings: Settings, name: str) -> Iterator[None]:
    """Record the role's start and stop in the audit trail."""
    expect_own(settings.node.storage_dir)
    with (
        audit_writer(settings, name) as trail,
        owned(settings.node.storage_dir, alone=False),
        trail.activity(),
    ):
        yield


def stopped_by_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def serve(arguments: argparse.Namespace) -> int:
    """Check settings, templates, certificates and the database, then run every role as a child process."""
    from service.supervise import Role, role_command, supervise
    from service.tls import check_certificates

    settings: Settings = arguments.settings_tree
    expect_own(settings.node.storage_dir)
    start_log("serve", settings.node.log_level, settings.node.log_format)
    models = model_library(settings)
    if settings.sqlite_file is not None and not settings.sqlite_file.exists():
        require_fit(settings.rules, models)  # before anything is made
    check_certificates(settings)
    for setting, (host, port) in settings.listening.items():
        expect_free(host, port, setting)
    for danger in loose_files(arguments.settings, settings):
        log.warning("%s", danger)
    names = ["triton"] if settings.triton.embedded else []
    names += ["receive", "assemble", "work", "send", "retention", "monitor"]
    names += ["web"] if settings.web.enabled else []
    names += ["forward-audit"] if settings.audit.syslog is not None else []
    roles = [Role(name=name, arguments=role_command((name,), arguments.settings)) for name in names]
    stop = stopped_by_signals()
    storage_folder(settings)
    with owned(settings.node.storage_dir, alone=True):
        prepare(settings)
        with opened_for_role(settings) as (store, identity):
            rule_book(
                settings, store.database, models
            )  # refuses the settings file's rules if they are in force and do not fit
            identity.begin_recovery()  # before any role starts; the receiver ends it
        supervise(roles, stop)
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """Send a CT through the whole node, with embedded defaults."""
    from service.demo import run_demo

    start_log("demo", "WARNING")
    return run_demo(arguments.ct, arguments.out, keep=arguments.keep)
