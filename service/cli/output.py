"""Output of the verbs. Text from outside is never markup or control characters: it cannot alter what is shown."""

import json
import sys
from collections.abc import Iterable, Sequence

from service.text import shown

UNCUT_COLUMNS = 250


def say(*lines: object) -> None:
    """Print each as one line on standard output."""
    sys.stdout.write("".join(f"{shown(line)}\n" for line in lines))


def warn(*lines: object) -> None:
    """Print each as one line on standard error."""
    sys.stderr.write("".join(f"{shown(line)}\n" for line in lines))


def say_json(value: object, *, indent: int = 1) -> None:
    """Print a value for programs: ASCII only, and no NaN, which is not valid JSON."""
    say_whole(json.dumps(value, indent=indent, allow_nan=False) + "\n")


def say_whole(document: str) -> None:
    """Print a document unchanged: for a format that escapes foreign text itself."""
    sys.stdout.write(document)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", has_lines: bool = True
) -> None:
    """Print a table, fitted to a terminal but unabridged in a file or pipe; None is shown as empty."""
    from rich.console import (
        Console,
    )  # imported here: every process imports this module, but few print a table
    from rich.table import Table
    from rich.text import Text

    def plain(value: object) -> Text:
        return Text(shown(value))

    table = Table(title=plain(title) if title else None)
    if not has_lines:
        table.box = None
    for column in columns:
        table.add_column(plain(column))
    for row in rows:
        table.add_row(*("" if value is None else plain(value) for value in row))
    console = Console()
    if not console.is_terminal:
        console.width = UNCUT_COLUMNS
    console.print(table)
