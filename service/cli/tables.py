"""Prints a table: as wide as the terminal, and uncut where a file or another program reads it."""

from rich.console import Console
from rich.table import Table

UNCUT_COLUMNS = 250


def print_table(table: Table) -> None:
    """Print to standard output."""
    console = Console()
    if not console.is_terminal:
        console.width = UNCUT_COLUMNS
    console.print(table)
