"""The command line: one verb a role, and verbs for the admin."""

from service.cli.main import main

__all__ = ["main"]
