"""The health checks, each with its result and reason."""

import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from service.config import Peer, Settings
from service.rules import HeldRules
from service.scu.client import Scu
from service.scu.outcome import Sent, TransientFailure
from service.store import (
    DiskGauge,
    DiskLevel,
    RefusedImages,
    RoleHeartbeat,
    StorageUnavailable,
    check_writable,
    disk_room,
    read_constancy,
)

ROLES = ("receive", "assemble", "work", "send", "retention")
"""The roles that the node needs to do its work."""
RECEIVER_TIMEOUT_S = 5.0
_MOST_REASONS_SAID = 5


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """The health of one part of the node, and what was observed."""

    name: str
    ok: bool
    reason: str
    needed: bool = True  # without it the node is not ready


def check_storage(root: Path, gauge: DiskGauge) -> Iterator[HealthCheck]:
    """Check that files can be written to the storage folder, and its free space."""
    try:
        check_writable(root)
        yield HealthCheck(name="storage", ok=True, reason="a file can be made durable")
    except StorageUnavailable as error:
        yield _no("storage", str(error))
    try:
        room, free = gauge.room(), disk_room(root).free_bytes
    except StorageUnavailable as error:
        yield _no("disk", str(error))
        return
    said = f"{free / 1e9:.1f} GB are free"
    refused = f"{said}: new objects are refused and no job is started (retention.refuse_below_free_bytes)"
    yield HealthCheck(
        name="disk", ok=room is not DiskLevel.NONE, reason=refused if room is DiskLevel.NONE else said
    )
    little = f"{said}: below the warning level (retention.warn_below_free_percent)"
    enough = room is DiskLevel.ENOUGH
    yield HealthCheck(name="disk reserve", ok=enough, reason=said if enough else little, needed=False)


def check_roles(
    signs: Sequence[RoleHeartbeat], roles: Iterable[str], now: datetime, silent_s: float
) -> tuple[HealthCheck, ...]:
    """Check that each role has a process with a recent heartbeat; one from the future does not count."""
    found = []
    for role in roles:
        of_role = [sign for sign in signs if sign.role == role]
        alive = [sign for sign in of_role if abs(now - sign.at) <= timedelta(seconds=silent_s)]
        if alive:
            reason = ", ".join(sorted(f"process {sign.pid} on {sign.host}" for sign in alive))
        elif of_role:
            last = max(sign.at for sign in of_role)
            silent = (
                f"for {(now - last).total_seconds():.0f} s" if last <= now else "since the clock was set back"
            )
            reason = f"no heartbeat {silent}; is `contour-node {role}` running?"
        else:
            reason = f"no process; start `contour-node {role}`"
        found.append(HealthCheck(name=f"role {role}", ok=bool(alive), reason=reason))
    return tuple(found)


def check_receiver(settings: Settings) -> HealthCheck:
    """Check that the receiver answers a C-ECHO, or only that it listens if it would not admit the node itself."""
    receive = settings.receive
    anywhere = receive.host in ("0.0.0.0", "::")
    host = settings.monitor.receiver_host or ("127.0.0.1" if anywhere else receive.host)
    port = receive.port if receive.tls is None or receive.also_plaintext else receive.tls_port
    where = f"{host}:{port}"
    if port == 0:
        return HealthCheck(
            name="receiver", ok=True, reason="not asked: receive.port is 0, so that it has any port"
        )
    if (
        settings.senders
    ):  # an association from here would be rejected, and fill the audit trail every few seconds
        return HealthCheck(
            name="receiver", ok=True, reason="not asked: only peers with may_send may call; see its role"
        )
    if port != receive.port:
        return _listens(host, port)
    peer = Peer(ae_title=receive.ae_title, host=host, port=receive.port)
    outcome = Scu(calling_aet=settings.send.ae_title, timeout_s=RECEIVER_TIMEOUT_S).echo(peer)
    if isinstance(outcome, TransientFailure):
        return _no("receiver", outcome.reason)
    said = "answers a C-ECHO" if isinstance(outcome, Sent) else f"answers: {outcome.reason}"
    return HealthCheck(name="receiver", ok=True, reason=f"{where} {said}")


def check_model_server(is_live: Callable[[], bool], url: str) -> HealthCheck:
    """Check that a model server with this node's models answers.

    Not needed to be ready: images are received without it.
    """
    live = is_live()
    said = "answers" if live else "does not answer, or is no server of this node; jobs wait in the queue"
    return HealthCheck(name="model server", ok=live, reason=f"{url} {said}", needed=False)


def check_constancy(root: Path) -> Iterator[HealthCheck]:
    """Report the last constancy check; nothing if there was none."""
    last = read_constancy(root)
    if last is not None:
        reason = f"{last.at:%Y-%m-%d %H:%M} UTC: {last.reason}"
        yield HealthCheck(name="constancy", ok=last.ok, reason=reason, needed=False)


def check_hold(reason: str) -> HealthCheck:
    """Report whether the node is held. Not needed to be ready: images are received meanwhile."""
    said = (
        f"{reason}; nothing is contoured or delivered until `contour-node recover` decides" if reason else ""
    )
    return HealthCheck(name="recovery", ok=not reason, reason=said or "nothing to decide", needed=False)


def check_clock(doubt: str) -> HealthCheck:
    """Report whether the clock can be right. Not needed to be ready: only retention waits."""
    said = f"{doubt}; retention removes nothing" if doubt else "nothing speaks against it"
    return HealthCheck(name="clock", ok=not doubt, reason=said, needed=False)


def check_rules(held: HeldRules | None, differ: str) -> Iterator[HealthCheck]:
    """Check whether anything can be contoured by the active rules, and whether the settings file's differ.

    The node can be ready without it, because images are received meanwhile.
    """
    if held is None:
        return
    count = len(held.settings.rules)
    which = f"version {held.number}" if held.number else "those of the settings"
    wrong = f"{held.why_not}; nothing is contoured until that is mended or another version activated"
    reason = wrong if held.faults else f"{which}: {count} {'rule' if count == 1 else 'rules'}"
    yield HealthCheck(name="rules", ok=not held.faults, reason=reason, needed=False)
    if differ:
        yield HealthCheck(name="rules of the settings", ok=False, reason=differ, needed=False)


def check_refused_images(refused: Sequence[RefusedImages]) -> HealthCheck:
    """Report images refused by the receiver in the last day. Not needed to be ready: others are accepted."""
    said = "; ".join(refused_in_words(one) for one in refused[:_MOST_REASONS_SAID])
    said += f"; {len(refused) - _MOST_REASONS_SAID} more" if len(refused) > _MOST_REASONS_SAID else ""
    reason = said or "none in the last 24 hours"
    return HealthCheck(name="images refused", ok=not refused, reason=reason, needed=False)


def refused_in_words(images: RefusedImages) -> str:
    """Describe the objects refused from one sender."""
    number = "1 image" if images.count == 1 else f"{images.count} images"
    last = f"{images.last_at:%Y-%m-%d %H:%M} UTC"
    return f"{number} of {images.sender} ({images.address}) refused: {images.reason}; the last at {last}"


def _listens(host: str, port: int) -> HealthCheck:
    try:
        socket.create_connection((host, port), timeout=RECEIVER_TIMEOUT_S).close()
    except OSError as error:
        return _no("receiver", f"nobody listens at {host}:{port}: {error.strerror or error}")
    return HealthCheck(name="receiver", ok=True, reason=f"{host}:{port} listens")


def _no(name: str, reason: str) -> HealthCheck:
    return HealthCheck(name=name, ok=False, reason=reason)
