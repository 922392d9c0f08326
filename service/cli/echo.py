"""The verb that asks another system whether it answers."""

import argparse

from service.cli.admin import print_order
from service.config import Peer, Settings, WebDestination
from service.errors import Refused
from service.scu.client import Scu
from service.scu.outcome import Sent
from service.send.delivery_policy import DeliveryPolicy
from service.send.stow import probe


def echo(arguments: argparse.Namespace) -> int:
    """C-ECHO a destination, or ask its DICOMweb for a study; exit code 1 and the reason where it does not answer."""
    settings: Settings = arguments.settings_tree
    destination = settings.destination(arguments.destination)
    timeout_s = DeliveryPolicy.of(destination, settings.send, settings.advanced).timeout_s
    if isinstance(destination, WebDestination):
        outcome = probe(destination, timeout_s=timeout_s)
    elif isinstance(destination, Peer):
        outcome = Scu(calling_aet=settings.send.ae_title, timeout_s=timeout_s).echo(destination)
    else:
        known = ", ".join(settings.peers) or "none"
        raise Refused(f"no peer {arguments.destination} in the settings; there are: {known}")
    answered = isinstance(outcome, Sent)
    reason = outcome.note if isinstance(outcome, Sent) else outcome.reason
    print_order(arguments, {"destination": arguments.destination, "answered": answered, "reason": reason})
    return 0 if answered else 1
