"""The verb that tries a recipient of notifications."""

import argparse
import sys

from service.config import Settings
from service.errors import Refused
from service.monitor.messages import message_of
from service.monitor.notifier import send
from service.store import Notification, utc_now


def notify_test(arguments: argparse.Namespace) -> int:
    """Send a test message, as a real one would go; exit code 1 and the reason where it does not arrive."""
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
        text="a test by `contour-node notify-test`; nothing is wrong",
        at=utc_now(),
        attempts=0,
    )
    send(message_of([test], {}), found[0])
    sys.stdout.write(f"{arguments.recipient}: the message was taken\n")
    return 0
