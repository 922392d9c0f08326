"""Keys of earlier versions and what became of them: an old file is refused, naming each key, or rewritten."""

import re
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

Tree = MutableMapping[str, Any]

RENAMED = {
    "watch.silent_s": "advanced.silent_s",
    "watch.tls_certificate": "watch.tls.certificate",
    "watch.tls_key": "watch.tls.key",
    "watch": "monitor",
    "keep": "retention",
    "receive.beside_ct": "receive.companions",
    "receive.tls.port": "receive.tls_port",
    "receive.tls.require_client_certificate": "receive.require_client_certificate",
    "receive.tls.also_plaintext": "receive.also_plaintext",
    "assemble.poll_s": "advanced.poll_s",
    "work.poll_s": "advanced.poll_s",
    "work.lease_s": "advanced.silent_s",
    "advanced.job_lease_s": "advanced.silent_s",
    "send.poll_s": "advanced.poll_s",
    "send.backoff_s": "advanced.backoff_s",
    "advanced.delivery_backoff_s": "advanced.backoff_s",
}
"""Old key -> new key, in this order. If several old keys become one, the shortest time is used."""

FREE_PERCENT = "only retention.refuse_below_free_bytes decides; without it 1 GiB, or 1 % if that is more"

_BUSY = "always half of advanced.silent_s"
_MONITOR_POLL = "always ten times advanced.poll_s"
_LEASE = "advanced.silent_s applies to deliveries too"
_JOB_BACKOFF = "always twice advanced.backoff_s"
_LONGEST_DELAY = "always 120 times the first delay"
_UNAVAILABLE = "always advanced.backoff_s"
_VERIFY_RATE = "always 20 MB/s"
_CONFIRM_ATTEMPTS = "removed: always 12; a higher confirm_s waits longer"

REMOVED = {
    "watch.poll_s": _MONITOR_POLL,
    "advanced.monitor_poll_s": _MONITOR_POLL,
    "database.busy_timeout_s": _BUSY,
    "advanced.database_busy_timeout_s": _BUSY,
    "work.backoff_s": _JOB_BACKOFF,
    "advanced.job_backoff_s": _JOB_BACKOFF,
    "work.backoff_max_s": _LONGEST_DELAY,
    "advanced.job_backoff_max_s": _LONGEST_DELAY,
    "work.unavailable_delay_s": _UNAVAILABLE,
    "advanced.unavailable_delay_s": _UNAVAILABLE,
    "send.lease_s": _LEASE,
    "advanced.delivery_lease_s": _LEASE,
    "send.backoff_max_s": _LONGEST_DELAY,
    "advanced.delivery_backoff_max_s": _LONGEST_DELAY,
    "triton.embedded": "the server is embedded if triton.url is absent",
    "triton.start_timeout_s": "triton.timeout_s applies to the start too",
    "receive.max_associations_per_address": "always half of receive.max_associations",
    "keep.verify_rate_bytes": _VERIFY_RATE,
    "retention.verify_rate_bytes": _VERIFY_RATE,
    "watch.heartbeat_s": "a heartbeat comes every quarter of advanced.silent_s",
    "receive.max_pdu_bytes": "always 262144",
    "database.pool_size": "always 5",
    "assemble.count_timeout_s": "always 5 s",
    "assemble.count_every_s": "always 60 s",
    "work.heartbeat_s": "a heartbeat comes every quarter of advanced.silent_s",
    "audit.syslog.poll_s": "advanced.poll_s applies to every role",
    "audit.syslog.timeout_s": "always 10 s",
    "database.connect_timeout_s": "always 10 s",
    "advanced.database_connect_timeout_s": "always 10 s",
    "keep.sweep_s": "always 600 s",
    "advanced.sweep_s": "always 600 s",
    "keep.refuse_below_free_percent": FREE_PERCENT,
    "retention.refuse_below_free_percent": FREE_PERCENT,
    "receive.max_object_bytes": "always 4 GiB",
}
"""Old key -> what applies now."""

ENTRIES = {
    "watch.notify": {
        "timeout_s": "removed: always 20 s",
        "mail.ca_file": "mail.tls.ca",
        "webhook.ca_file": "webhook.tls.ca",
    },
    "rules": {"beside": "companions"},
    "destinations": {
        "confirm_attempts": _CONFIRM_ATTEMPTS,
        "backoff_s": "removed: advanced.backoff_s holds for every peer",
        "backoff_max_s": "removed: always 120 times the first delay",
    },
    "dicomweb": {
        "confirm_attempts": _CONFIRM_ATTEMPTS,
        "backoff_s": "removed: advanced.backoff_s holds for every peer",
        "backoff_max_s": "removed: always 120 times the first delay",
        "ca_file": "tls.ca",
        "certificate_file": "tls.certificate",
        "key_file": "tls.key",
    },
}
"""Old keys inside each entry of a list or table."""
ENTRIES["peers"] = ENTRIES["destinations"]


_TRUE = ("true", "1", "yes", "on", "t", "y")
RENAMED_VALUES = {"events": {"parked": "failed"}}
"""Old values of the lists in an entry of `watch.notify` or `monitor.notify`: key -> old value -> new value."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """What became of the old keys of a tree, one line each; `clashes` are entries that only a person can rename."""

    changes: tuple[str, ...]
    clashes: tuple[str, ...]


def migrate(tree: Tree) -> Migration:
    """Rewrite the old keys of a tree in place. After a clash, the tree lacks the entry that could not be moved.

    Values of the wrong type are left where they are: reading the settings refuses them.
    """
    changes = [*_in_entries(tree), *_embedded_server(tree)]
    for old, why in REMOVED.items():
        changes += _move(tree, old, f"removed: {why}", "")
    for old, new in RENAMED.items():
        changes += _move(tree, old, new, "")
    clashes: list[str] = []
    for table in ("destinations", "dicomweb"):
        changes += _into_peers(tree, table, clashes)
    changes += _senders_into_peers(tree)
    for key in ("max_attempts", "timeout_s"):
        changes += _into_every_destination(tree, key)
    return Migration(changes=tuple(changes), clashes=tuple(clashes))


def _in_entries(tree: Tree) -> Iterator[str]:
    """Rewrite the old keys in the entries of lists and tables."""
    for place, keys in ENTRIES.items():
        for name, entry in _entries(_find(tree, place)):
            _key_in_its_certificate(place, entry)
            for old, new in keys.items():
                yield from _move(entry, old, new, f"{place}.{name}.")
    for place in ("watch.notify", "monitor.notify"):
        for name, entry in _entries(_find(tree, place)):
            yield from _rename_values(entry, f"{place}.{name}.")


def _find(tree: Any, path: str) -> Any:
    for part in path.split("."):
        tree = tree.get(part) if isinstance(tree, MutableMapping) else None
    return tree


def _entries(found: Any) -> Iterator[tuple[str, Tree]]:
    named = (
        found.items()
        if isinstance(found, MutableMapping)
        else enumerate(found)
        if isinstance(found, list)
        else ()
    )
    for name, entry in named:
        if isinstance(entry, MutableMapping):
            yield str(name), entry


def _key_in_its_certificate(place: str, entry: Tree) -> None:
    """Name the key file that the old default implied: the certificate's file."""
    if place == "dicomweb" and "certificate_file" in entry:
        entry.setdefault("key_file", entry["certificate_file"])


def _move(tree: Tree, old: str, new: str, prefix: str) -> list[str]:
    """Move the value of a key; drop it if the new key begins with 'removed: '."""
    *sections, key = old.split(".")
    parent = _find(tree, ".".join(sections)) if sections else tree
    if not isinstance(parent, MutableMapping) or key not in parent:
        return []
    value = parent.pop(key)
    if sections and not parent:  # a section that had no other key
        _move(tree, ".".join(sections), "removed: ", "")
    if new.startswith("removed: "):
        return [f"{prefix}{old}: {new}"]
    *to_sections, to_key = new.split(".")
    target: Any = tree
    for part in to_sections:
        target = target.setdefault(part, {})
    target[to_key] = _joined(target.get(to_key), value)
    return [f"{prefix}{old}: now {prefix}{new.replace('watch.', 'monitor.')}"]


def _embedded_server(tree: Tree) -> list[str]:
    """Drop the address of an embedded server: a ``triton.url`` now names one that runs elsewhere."""
    triton = tree.get("triton")
    if not isinstance(triton, MutableMapping) or str(triton.get("embedded")).lower() not in _TRUE:
        return []
    return _move(
        tree, "triton.url", "removed: the embedded server listens on a socket in node.storage_dir", ""
    )


def _rename_values(entry: Tree, prefix: str) -> Iterator[str]:
    """Replace old values in the entry's lists, in place."""
    for key, renamed in RENAMED_VALUES.items():
        values = entry.get(key)
        for number, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, str) and value in renamed:
                entry[key][number] = renamed[value]
                yield f"{prefix}{key}: '{value}' is now '{renamed[value]}'"


def _joined(there: Any, value: Any) -> Any:
    """Return the value of a key that replaces two old ones: the shorter time, or all keys of two sections."""
    if there is None:
        return value
    if isinstance(there, MutableMapping) and isinstance(value, MutableMapping):
        there.update(value)
        return there
    return min(there, value, key=float)


def _into_peers(tree: Tree, table: str, clashes: list[str]) -> list[str]:
    """Move the entries of a table to ``peers``; one with the AE title and address of another is merged with it.

    An entry whose name another application has is added to ``clashes``.
    """
    if not isinstance(tree.get(table), MutableMapping):
        return []
    peers = tree.setdefault("peers", {})
    changes = []
    for name, entry in tree.pop(table).items():
        same = next((one for one, peer in _entries(peers) if _address(peer) == _address(entry)), None)
        if name in peers and name != same:
            clashes.append(f"{table}.{name}: peers has another entry {name}; give one of them another name")
            continue
        joined = dict(peers.pop(same)) if same is not None else {}
        peers[name] = {**joined, **entry} if joined else entry
        changes.append(f"{table}.{name}: now peers.{name}" + (f", with peers.{same}" if joined else ""))
    return changes


def _address(entry: Any) -> tuple[object, ...] | object:
    """Return what makes two entries the same DICOM application; any other entry is equal only to itself."""
    known = isinstance(entry, MutableMapping) and {"ae_title", "host", "port"} <= entry.keys()
    return (entry["ae_title"], entry["host"], entry["port"]) if known else object()


def _senders_into_peers(tree: Tree) -> list[str]:
    senders = _find(tree, "receive.senders")
    if not isinstance(senders, list):
        return []
    tree["receive"].pop("senders")
    peers = tree.setdefault("peers", {}) if senders else {}
    changes = [] if senders else ["receive.senders: removed; receive.admit = 'anyone' says the same"]
    for number, sender in _entries(senders):
        entry = {**sender, "may_send": True}
        title = entry.get("ae_title")
        mine = [name for name, peer in _entries(peers) if peer.get("ae_title") == title]
        name = mine[0] if len(mine) == 1 and "may_send" not in peers[mine[0]] else _free_name(title, peers)
        if name in peers:
            peers[name].update(entry)
        else:
            peers[name] = entry
        changes.append(f"receive.senders.{number}: now peers.{name} with may_send = true")
    if senders:
        tree["receive"]["admit"] = "peers"
    return changes


def _into_every_destination(tree: Tree, key: str) -> list[str]:
    """Move a key of ``send``, which applied to all peers, to every peer that does not have its own."""
    send = tree.get("send")
    if not isinstance(send, MutableMapping) or key not in send:
        return []
    value = send.pop(key)
    if not send:
        tree.pop("send")
    known = [(name, peer) for name, peer in _entries(tree.get("peers")) if {"port", "url"} & peer.keys()]
    for _, peer in known:
        peer.setdefault(key, value)
    places = ", ".join(f"peers.{name}.{key}" for name, _ in known)
    return [f"send.{key}: " + (f"now {places}" if places else f"removed: each peer has its own {key}")]


def _free_name(title: object, peers: Tree) -> str:
    """Return a name that is made from an AE title and that no peer has."""
    stem = re.sub(r"[^a-z0-9]+", "-", str(title).lower()).strip("-") or "sender"
    names = [stem, *(f"{stem}-{number}" for number in range(2, len(peers) + 3))]
    return next(name for name in names if name not in peers)
