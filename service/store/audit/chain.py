"""The audit trail as a hash chain: each entry holds a hash of itself and the previous entry, so changes are detected.

Writers take turns: on SQLite by its write lock, on Postgres by an advisory lock that ends with the transaction.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, String, insert, select, text

from service.store.tables.audit_schema import audit_event
from service.text import shown

LOCK = 7261937  # any number; the same in every process of this node, and in nothing else
LONGEST_TEXT = 4000
MOST_AT_ONCE = 2000
LINKED = (
    "id",
    "at",
    "kind",
    "outcome",
    "role",
    "actor",
    "address",
    "target",
    "job_id",
    "study_uid",
    "sop_classes",
    "instance_count",
    "patient_id",
    "detail",
)
"""The columns that an entry's hash covers, in this order; columns added later are appended."""
POSTGRES_RIGHTS = (
    "REVOKE UPDATE, DELETE, TRUNCATE ON audit_event FROM PUBLIC, CURRENT_USER",
    "GRANT UPDATE (id) ON audit_event TO CURRENT_USER",  # a foreign key locks the row that it refers to
)
GUARDS = {
    "sqlite": (
        "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_event' AND sql LIKE '%RAISE(ABORT%' "
        "AND name IN ('audit_event_is_kept', 'audit_event_stays', 'audit_event_is_new')",
        3,
    ),
    "postgresql": (
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'audit_event'::regclass AND tgenabled = 'A' "
        "AND tgname IN ('audit_event_is_kept', 'audit_event_stays')",
        2,
    ),
}
"""How many triggers protect the audit trail, and the query that counts those in force."""


@dataclass(frozen=True, kw_only=True)
class TrailHead:
    """The newest entry: its number (0 if there is none) and its hash."""

    id: int
    chain: str


@dataclass(frozen=True, kw_only=True)
class TrailCheck:
    """The result of verifying the whole chain."""

    entries: int
    head: TrailHead
    broken: str  # the first entry that was changed, and how; empty: the chain is intact
    unguarded: str  # why the database would allow changes to the trail; empty: it refuses them


def append_entries(connection: Connection, entries: Sequence[Mapping[str, Any]]) -> None:
    """Add entries, given by their columns without ``id``, to the end of the chain in the caller's transaction.

    Texts lose what does not print (`service.text`) and are cut to what their columns hold.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    head = newest_entry(connection)
    rows = []
    for entry in entries:
        row = {name: _fitting(name, value) for name, value in entry.items()}
        row["id"] = head.id + 1
        row["chain"] = link(head.chain, row)
        head = TrailHead(id=row["id"], chain=row["chain"])
        rows.append(row)
    if rows:
        connection.execute(insert(audit_event), rows)


def guard_trail(connection: Connection) -> None:
    """Revoke the database owner's rights to change the trail, after a restore, which does not include rights."""
    if connection.dialect.name == "postgresql":
        for statement in POSTGRES_RIGHTS:
            connection.execute(text(statement))


def newest_entry(connection: Connection) -> TrailHead:
    """Return the end of the chain."""
    columns = (audit_event.c.id, audit_event.c.chain)
    row = connection.execute(select(*columns).order_by(audit_event.c.id.desc()).limit(1)).one_or_none()
    return TrailHead(id=0, chain="") if row is None else TrailHead(id=row.id, chain=row.chain)


def link(before: str, row: Mapping[str, Any]) -> str:
    """Return the hash of an entry: SHA-256 over the hash before it and its columns as JSON, in hex."""
    values = [_plain(row[name]) for name in LINKED]
    words = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(f"{before}\n{words}".encode("ascii")).hexdigest()


def check_trail(connection: Connection, known: Sequence[TrailHead] = ()) -> TrailCheck:
    """Verify the whole chain.

    Args:
        connection: reads one state of the database.
        known: ends of the chain that were noted elsewhere; the trail must still have each.
    """
    head, entries, broken = TrailHead(id=0, chain=""), 0, ""
    wanted = {one.id: one.chain for one in known if one.id}
    for row in _rows(connection):
        entries += 1
        broken = _fault(head, row, wanted.pop(row["id"], None))
        if broken:
            break
        head = TrailHead(id=row["id"], chain=row["chain"])
    if not broken and wanted:
        broken = (
            f"entry {min(wanted)}, which was noted elsewhere, is not there: the newest entries were removed"
        )
    return TrailCheck(entries=entries, head=head, broken=broken, unguarded=_unguarded(connection))


def _fault(head: TrailHead, row: Mapping[str, Any], noted: str | None) -> str:
    number = row["id"]
    if row["chain"] == link(head.chain, row):
        return (
            ""
            if noted in (None, row["chain"])
            else f"entry {number} has another hash than was noted elsewhere"
        )
    if number > head.id + 1:
        return f"entry {number} does not follow entry {head.id}: it was changed, or what stood between was removed"
    return f"entry {number} is not what was written"


def _unguarded(connection: Connection) -> str:
    query, expected = GUARDS[connection.dialect.name]
    there = connection.execute(text(query)).scalar_one()
    return (
        ""
        if there == expected
        else f"{expected - there} of {expected} triggers that keep the trail are not in force"
    )


def _rows(connection: Connection) -> Iterator[Mapping[str, Any]]:
    after = 0
    while True:
        query = (
            select(audit_event).where(audit_event.c.id > after).order_by(audit_event.c.id).limit(MOST_AT_ONCE)
        )
        rows = connection.execute(query).mappings().all()
        yield from map(dict, rows)
        if len(rows) < MOST_AT_ONCE:
            return
        after = rows[-1]["id"]


def _fitting(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    kind = audit_event.c[name].type
    longest = kind.length if isinstance(kind, String) and kind.length else LONGEST_TEXT
    return shown(value)[:longest]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return str(value) if isinstance(value, str) else value
