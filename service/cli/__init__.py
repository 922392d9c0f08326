"""The command line: one verb per role, and verbs for the administrator."""

from service.cli.main import main

__all__ = ["main"]
