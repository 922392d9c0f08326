"""The verb `settings`: `show` prints the settings in force, `migrate` rewrites a file of an earlier version."""

import argparse
from copy import deepcopy
from pathlib import Path
from typing import Any

import tomlkit

from service.cli.output import say_whole, warn
from service.config import (
    SettingsRefused,
    load_settings,
    migrate_tree,
    process_environment,
    read_tree,
    settings_of,
)
from service.errors import Refused


def run(arguments: argparse.Namespace) -> int:
    """Run one act."""
    return _show(arguments.file) if arguments.act == "show" else _migrate(arguments.file, arguments.output)


def _show(file: Path | None) -> int:
    settings = load_settings(file, process_environment())
    tree = settings.model_dump(mode="json", exclude_none=True)
    if settings.database.url is not None:
        tree["database"]["url"] = str(settings.database.url)  # masks only the password
    say_whole(tomlkit.dumps(tree))
    return 0


def _migrate(file: Path, output: Path | None) -> int:
    """Write the file with the keys of this version; report each changed key on standard error.

    Exit code 1 if two entries clash on one name (nothing is written), or if the new file still needs editing (it is
    written, and its faults are printed).
    """
    tree = read_tree(file)
    migration = migrate_tree(tree)
    if migration.clashes:
        raise Refused("\n".join(["nothing was written:", *(f"  {line}" for line in migration.clashes)]))
    text = _with_comments(file, tree) if migration.changes else file.read_text(encoding="utf-8")
    if output is None:
        say_whole(text)
    else:
        try:
            with output.open("x", encoding="utf-8") as written:
                written.write(text)
        except FileExistsError:
            raise Refused(f"{output} exists; name another file") from None
    for change in migration.changes or ["nothing to change: every key is current"]:
        warn(f"{change}")
    try:
        settings_of(tree, str(output or file))
    except SettingsRefused as reason:
        raise Refused(str(reason)) from reason
    return 0


def _with_comments(file: Path, tree: Any) -> str:
    """Return the new file with the old one's comments, or without them if they cannot be placed."""
    plain = deepcopy(tree)
    try:
        document = tomlkit.parse(file.read_text(encoding="utf-8"))
        migrate_tree(document)
        text = tomlkit.dumps(document)
        if tomlkit.parse(text).unwrap() == plain:
            return text
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        pass  # tomlkit cannot split a table that is spread over several places of the file
    return (
        f"# Written by `contour-node settings migrate`; the comments are in {file.name}.\n"
        + tomlkit.dumps(plain)
    )
