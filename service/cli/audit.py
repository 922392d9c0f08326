"""The audit trail on the command line: the verb that lists it, and the person whom other verbs name in it."""

import argparse
import getpass
import os

from service.application import Actor, ActorKind, ActorRole
from service.audit import audit_message
from service.cli.output import print_table, say, say_json
from service.components import opened_store
from service.config import Settings
from service.store import AuditEntry, AuditLog

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
                say(audit_message(entry, settings, audit_log.patient_of).decode())
            return 0
    if arguments.json:
        say_json([_plain(entry) for entry in entries])
        return 0
    rows = [_plain(entry) for entry in entries]
    print_table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows])
    return 0


def operator() -> Actor:
    """Give the person at the keyboard: whoever may run this command on the node's machine is its operator."""
    return Actor(kind=ActorKind.PERSON, name=account(), role=ActorRole.OPERATOR, entry="cli")


def account() -> str:
    """Return the account of the person at the keyboard; a number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _plain(entry: AuditEntry) -> dict[str, object]:
    return {"id": entry.id, "at": entry.at.isoformat(timespec="seconds"), **vars(entry.event)}
