"""The audit trail on the command line: the verb that lists it, and what the other verbs add to it."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable

from rich.table import Table

from service.audit import audit_message
from service.cli.tables import print_table
from service.components import opened_store
from service.config import Settings
from service.errors import Refused
from service.store import AuditEntry, AuditEvent, AuditKind, AuditLog, AuditOutcome

Command = Callable[[argparse.Namespace], int]
COLUMNS = (
    "at",
    "kind",
    "outcome",
    "actor",
    "address",
    "target",
    "job_id",
    "study_uid",
    "instance_count",
    "detail",
)


def run(arguments: argparse.Namespace) -> int:
    """List the trail, oldest first."""
    settings: Settings = arguments.settings_tree
    with opened_store(settings) as store:
        audit_log = AuditLog(store.database)
        entries = audit_log.entries(
            since=arguments.since, until=arguments.until, study_uid=arguments.study, limit=arguments.limit
        )
        if arguments.xml:
            for entry in entries:
                sys.stdout.write(audit_message(entry, settings, audit_log.patient_of).decode() + "\n")
            return 0
    if arguments.json:
        sys.stdout.write(json.dumps([_plain(entry) for entry in entries], indent=1) + "\n")
        return 0
    table = Table(*COLUMNS)
    for entry in entries:
        values = _plain(entry)
        table.add_row(*("" if values[column] is None else str(values[column]) for column in COLUMNS))
    print_table(table)
    return 0


def looked_at(command: Command) -> Command:
    """Return the command that shows one job; who looked at it stands in the trail."""
    return _audited(command, AuditKind.LOOKED_AT)


def ordered(command: Command) -> Command:
    """Return the command that changes one job; who ordered it stands in the trail, also where it was refused."""
    return _audited(command, AuditKind.ORDERED)


def _audited(command: Command, kind: AuditKind) -> Command:
    def run_audited(arguments: argparse.Namespace) -> int:
        outcome = AuditOutcome.SERIOUS_FAILURE
        try:
            code = command(arguments)
            outcome = AuditOutcome.SUCCESS
        except Refused:
            outcome = AuditOutcome.MINOR_FAILURE
            raise
        finally:
            _record(arguments, kind, outcome)
        return code

    return run_audited


def _record(arguments: argparse.Namespace, kind: AuditKind, outcome: AuditOutcome) -> None:
    settings: Settings = arguments.settings_tree
    with opened_store(settings) as store:
        AuditLog(store.database).append_for_job(
            arguments.job,
            AuditEvent(kind=kind, outcome=outcome, role="cli", actor=account(), target=arguments.name),
        )


def account() -> str:
    """Return the account of the person at the keyboard; a number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _plain(entry: AuditEntry) -> dict[str, object]:
    return {"id": entry.id, "at": entry.at.isoformat(timespec="seconds"), **vars(entry.event)}
