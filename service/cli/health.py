"""The verbs `health` (the node, or one role: containers run it every few seconds) and `notify-test`."""

import argparse
import socket

from service.cli.output import say, say_json
from service.components import opened_store, role_heartbeats
from service.config import Settings
from service.errors import Refused
from service.store import Notification, utc_now


def health(arguments: argparse.Namespace) -> int:
    """Print the health of the node, or of a role on this machine; exit code 1 if it is not healthy."""
    if arguments.role is not None:
        return _role_here(arguments.settings_tree, arguments.role)
    return _whole_node(arguments)


def _whole_node(arguments: argparse.Namespace) -> int:
    """Print the health of each part of the node; exit code 1 if a required one is not healthy."""
    from service.monitor.pages import health_report
    from service.wiring import node_status

    status = node_status(arguments.settings_tree)
    if arguments.json:
        say_json(health_report(status))
    else:
        for check in status.checks:
            word = "ok" if check.ok else "NOT OK" if check.needed else "not ok, but not required to be ready"
            say(f"{check.name}: {word}: {check.reason}")
    return 0 if status.is_ready else 1


def _role_here(settings: Settings, role: str) -> int:
    """Print the role's latest heartbeat on this machine; Refused if none is recent."""
    with opened_store(settings) as store:
        heartbeats = role_heartbeats(store)
    here = [beat.at for beat in heartbeats if (beat.role, beat.host) == (role, socket.gethostname())]
    silent_s = None if not here else (utc_now() - max(here)).total_seconds()
    if silent_s is None or silent_s > settings.advanced.silent_s:
        raise Refused(f"no process of the role {role} on this machine has written a recent heartbeat")
    say(f"role {role}: heartbeat {silent_s:.0f} s ago")
    return 0


def notify_test(arguments: argparse.Namespace) -> int:
    """Send a test message over the configured channel; NotDelivered with the reason if it is not accepted."""
    from service.monitor.messages import message_of
    from service.monitor.notifier import send

    settings: Settings = arguments.settings_tree
    found = [one for one in settings.monitor.notify if one.name == arguments.recipient]
    if not found:
        known = ", ".join(one.name for one in settings.monitor.notify) or "none"
        raise Refused(f"no recipient {arguments.recipient} in monitor.notify; there are: {known}")
    test = Notification(
        id=0,
        event="test",
        job_id=None,
        rule="",
        state="",
        text="test message from `contour-node notify-test`; nothing is wrong",
        at=utc_now(),
        attempts=0,
    )
    send(message_of([test], {}), found[0])
    say(f"{arguments.recipient}: the message was accepted")
    return 0
