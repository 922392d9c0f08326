"""The verb that brings the database to this version."""

import argparse

from service.wiring.store import opened_store


def migrate(arguments: argparse.Namespace) -> int:
    """Bring the database's schema to this version."""
    with opened_store(arguments.settings_tree) as store:
        store.database.check()
    return 0
