"""The verb that looks at the node once, or at one role: containers run it every few seconds."""

import argparse
import socket
import sys
from pkgutil import resolve_name

from service.config import Settings
from service.errors import Refused
from service.store import utc_now
from service.wiring.store import opened_store, signs_of_life

WHOLE_NODE = "service.cli.node_health:node_health"  # by name: it imports what the role monitor needs


def health(arguments: argparse.Namespace) -> int:
    """Say whether the node, or a role of it on this machine, is as it should be; exit code 1 where it is not."""
    if arguments.role is not None:
        return _role_here(arguments.settings_tree, arguments.role)
    code: int = resolve_name(WHOLE_NODE)(arguments)
    return code


def _role_here(settings: Settings, role: str) -> int:
    """Whether a process of the role on this machine gave a sign of life of late."""
    with opened_store(settings) as store:
        signs = signs_of_life(store)
    here = [sign for sign in signs if (sign.role, sign.host) == (role, socket.gethostname())]
    newest = max((sign.at for sign in here), default=None)
    silent_s = None if newest is None else (utc_now() - newest).total_seconds()
    if silent_s is None or silent_s > settings.watch.silent_s:
        raise Refused(f"no process of the role {role} gave a sign of life on this machine of late")
    sys.stdout.write(f"role {role}: sign of life {silent_s:.0f} s ago\n")
    return 0
