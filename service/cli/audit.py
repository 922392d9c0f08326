"""The audit trail on the command line: the verb that lists it, and the actor whom other verbs record in it."""

import argparse
import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from service.application import Actor, ActorKind, ActorRole, prove_trail, read_trail
from service.audit import audit_message
from service.cli.output import print_table, say, say_json
from service.components import Store, opened_store
from service.config import Settings, process_environment
from service.store import AuditEntry, AuditLog, TrailCheck, TrailHead, TrailQuery, read_mark

SIGNED_IN = Path("/proc/self/loginuid")  # the account that signed in; the kernel keeps it across su and sudo
NOBODY_SIGNED_IN = 2**32 - 1

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
    """List the audit trail, oldest first, or verify that it is unchanged."""
    settings: Settings = arguments.settings_tree
    with opened_store(settings) as store:
        if arguments.verify:
            return _verify(_proven(settings, store, arguments.expect), as_json=arguments.json)
        which = TrailQuery(
            since=arguments.since, until=arguments.until, study_uid=arguments.study, limit=arguments.limit
        )
        entries = read_trail(store.database, administrator(), which)
        if arguments.xml:
            patient_of = AuditLog(store.database).patient_of
            for entry in entries:
                say(audit_message(entry, settings, patient_of).decode())
            return 0
    rows = [_plain(entry) for entry in entries]
    if arguments.json:
        say_json(rows)
    else:
        print_table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows])
    return 0


def _proven(settings: Settings, store: Store, expected: Sequence[TrailHead]) -> TrailCheck:
    """Verify the chain, which must contain the entry noted in the storage folder."""
    mark = read_mark(settings.node.storage_dir)
    noted = [] if mark is None else [mark.trail]
    return prove_trail(store.database, administrator(), [*expected, *noted])


def _verify(found: TrailCheck, *, as_json: bool) -> int:
    """Print the result; return 1 if the chain is broken or the database would allow changes to it."""
    if as_json:
        say_json({**vars(found), "head": vars(found.head)})
    elif found.broken:
        say(f"NOT WHOLE: {found.broken}")
    else:
        say(f"{found.entries} entries are unchanged; the newest is {found.head.id}:{found.head.chain}")
    if found.unguarded and not as_json:
        say(f"NOT GUARDED: {found.unguarded}; `contour-node migrate` of a restored database sets them again")
    return 1 if found.broken or found.unguarded else 0


def administrator() -> Actor:
    """Return the user at the terminal: whoever may run this command on the node's host is an administrator."""
    return Actor(
        kind=ActorKind.PERSON, name=account(), role=ActorRole.ADMIN, entry="cli", detail=_on_behalf_of()
    )


def account() -> str:
    """Return the name of this process's user, looked up by user ID; the ID if it has no name, as in a container."""
    return _name_of(os.getuid())


def _on_behalf_of() -> str:
    """Return who signed in, if the kernel or sudo names someone other than the process's user."""
    try:
        signed_in = int(SIGNED_IN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        signed_in = NOBODY_SIGNED_IN
    if signed_in not in (NOBODY_SIGNED_IN, os.getuid()):
        return f"signed in as {_name_of(signed_in)}"
    sudo = process_environment().get("SUDO_USER", "")
    return f"sudo says: for {sudo}" if sudo and sudo != account() else ""


def _name_of(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"uid {user_id}"


def _plain(entry: AuditEntry) -> dict[str, object]:
    return {"id": entry.id, "at": entry.at.isoformat(timespec="seconds"), **vars(entry.event)}
