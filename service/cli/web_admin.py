"""The verb that makes users of the page: whoever may run it on the node's machine may make an admin."""

import argparse
import sys

from service.application import LINK_LASTS, ActorRole, invite_person
from service.cli.audit import administrator
from service.components import opened_store
from service.config import Settings


def run(arguments: argparse.Namespace) -> int:
    """Make a user, or give one a new link, and print the link under which they set their password."""
    settings: Settings = arguments.settings_tree
    with opened_store(settings) as store:
        secret = invite_person(
            store.database,
            administrator(),
            arguments.name,
            ActorRole(arguments.role),
            sees_patients=not arguments.without_patients,
        )
    web = settings.web
    scheme = "http" if web.tls is None else "https"
    host = web.names[0] if web.names else web.host
    sys.stdout.write(f"{scheme}://{host}:{web.port}/invitation/{secret}\n")
    sys.stderr.write(
        f"{arguments.name} sets a password at this address, once, within {LINK_LASTS.total_seconds() / 60:.0f} minutes.\n"
    )
    return 0
