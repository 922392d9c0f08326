"""The verbs of those who watch the node: its health, and a message to try a recipient."""

import argparse
import json
import socket
import sys

from service import wiring
from service.config import Settings
from service.errors import Refused
from service.store import Notice, utc_now
from service.watch.messages import message_of
from service.watch.pages import health_report
from service.watch.teller import send


def health(arguments: argparse.Namespace) -> int:
    """Say for each part of the node whether it is as it should be; exit code 1 where one that is needed is not."""
    settings: Settings = arguments.settings_tree
    if arguments.role is not None:
        return _role_here(settings, arguments.role)
    view = wiring.look(settings)
    if arguments.json:
        sys.stdout.write(json.dumps(health_report(view), indent=1) + "\n")
    else:
        for check in view.checks:
            word = "ok" if check.ok else "NOT OK" if check.needed else "not ok, not needed to be ready"
            sys.stdout.write(f"{check.name}: {word}: {check.reason}\n")
    return 0 if view.is_ready else 1


def notify_test(arguments: argparse.Namespace) -> int:
    """Send a test message, as a real one would go; exit code 1 and the reason where it does not arrive."""
    settings: Settings = arguments.settings_tree
    found = [one for one in settings.watch.notify if one.name == arguments.recipient]
    if not found:
        known = ", ".join(one.name for one in settings.watch.notify) or "none"
        raise Refused(f"no recipient {arguments.recipient} in watch.notify; there are: {known}")
    test = Notice(
        id=0,
        event="test",
        job_id=None,
        rule="",
        state="",
        text="a test by `contour-node notify-test`; nothing is wrong",
        at=utc_now(),
        attempts=0,
    )
    send(message_of([test], {}), found[0])
    sys.stdout.write(f"{arguments.recipient}: the message was taken\n")
    return 0


def _role_here(settings: Settings, role: str) -> int:
    """Whether a process of the role on this machine gave a sign of life of late."""
    with wiring.opened_store(settings) as store:
        signs = wiring.signs_of_life(store)
    here = [sign for sign in signs if (sign.role, sign.host) == (role, socket.gethostname())]
    newest = max((sign.at for sign in here), default=None)
    silent_s = None if newest is None else (utc_now() - newest).total_seconds()
    if silent_s is None or silent_s > settings.watch.silent_s:
        raise Refused(f"no process of the role {role} gave a sign of life on this machine of late")
    sys.stdout.write(f"role {role}: sign of life {silent_s:.0f} s ago\n")
    return 0
