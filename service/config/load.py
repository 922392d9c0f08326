"""Reads the settings file and the environment into one frozen tree, or reports everything that is wrong with them."""

import json
import os
import tomllib
from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.config.document import allowed
from service.config.node import DatabaseUrl
from service.config.peers import PEER_KINDS
from service.config.renamed import Tree, migrate
from service.config.section import SETTINGS_FOLDER, SettingsSection
from service.config.settings import Settings

PREFIX = "CONTOUR_NODE_"
_SECTIONS: Tree = {
    name: {} for name, field in Settings.model_fields.items() if isinstance(field.default, SettingsSection)
}
SEPARATOR = "__"
RULES_VARIABLE = f"{PREFIX}RULES"
_LONGEST_LINE = 10_000  # the parser takes minutes for a name of a hundred thousand parts


class SettingsRefused(Exception):
    """The settings cannot be used; the message names each key, its value and what is allowed, one per line."""


def process_environment() -> dict[str, str]:
    """Return a copy of the environment of this process."""
    return dict(os.environ)  # noqa: TID251 - the only place that reads it


def load_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Return the settings in the file, overridden by CONTOUR_NODE_<SECTION>__<KEY> in the environment.

    Lists and tables in the environment are JSON. Variables without the prefix are ignored.

    Raises:
        SettingsRefused: with every problem found, not only the first.
    """
    tree: Tree = {} if path is None else read_tree(path)
    for variable, value in sorted(environment.items()):
        if variable.startswith(PREFIX):
            _put(tree, variable, value)
    _refuse_old_keys(tree, path)
    folder = None if path is None else path.absolute().parent
    found = settings_of(tree, "the environment" if path is None else f"{path} and the environment", folder)
    locking = next((name for name in environment if name.upper() == RULES_VARIABLE), None)
    if locking is not None:
        found._locked_rules = f"the environment sets {locking}; versions can be activated once it does not"
    return found


def settings_of(tree: Tree, origin: str, folder: Path | None = None) -> Settings:
    """Return the settings of a tree, with paths relative to ``folder``.

    Raises SettingsRefused, with every problem; the message names the tree's origin.
    """
    whole = {**_SECTIONS, **tree}  # an absent section has paths too
    try:
        return Settings.model_validate(whole, context={SETTINGS_FOLDER: folder})
    except ValidationError as error:
        lines = [line for detail in error.errors() for line in _explain(detail)]
        raise SettingsRefused(
            "\n".join([f"{len(lines)} problem(s) with the settings from {origin}:", *lines])
        ) from None  # the original shows values, and with them the database's password


def _refuse_old_keys(tree: Tree, path: Path | None) -> None:
    """Raise SettingsRefused if the tree has keys of an earlier version, with what became of each."""
    migration = migrate(deepcopy(tree))
    changes = (*migration.changes, *migration.clashes)
    if changes:
        rewrite = "" if path is None else f"; `contour-node settings migrate {path}` rewrites the file"
        head = f"{len(changes)} setting(s) of an earlier version{rewrite}:"
        raise SettingsRefused("\n".join([head, *(f"  {change}" for change in changes)]))


def read_tree(path: Path) -> Tree:
    """Return the file's content; raise SettingsRefused if it cannot be read or is not TOML."""
    try:
        text = path.read_text(encoding="utf-8")
        if any(len(line) > _LONGEST_LINE for line in text.splitlines()):
            raise SettingsRefused(
                f"the settings file {path} has a line of more than {_LONGEST_LINE} characters"
            )
        return tomllib.loads(text)
    except OSError as error:
        raise SettingsRefused(f"the settings file {path} cannot be read: {error.strerror}") from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # also of a number with thousands of digits, or endless nesting
        raise SettingsRefused(f"the settings file {path} is not TOML: {error}") from error


def _put(tree: Tree, variable: str, text: str) -> None:
    """Put the value of one variable in its place in the tree; the variable's case does not matter."""
    *sections, key = variable.removeprefix(PREFIX).lower().split(SEPARATOR)
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, MutableMapping):
            raise SettingsRefused(
                f"{variable}: {section} is not a section that has keys; allowed: {PREFIX}<SECTION>__<KEY>"
            )
    tree[key] = _value(variable, text)


def _value(variable: str, text: str) -> Any:
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsRefused(f"{variable} is not JSON: {error}") from error


def _explain(detail: ErrorDetails) -> list[str]:
    location = tuple(str(part) for part in detail["loc"])
    if location[:1] == ("peers",) and PEER_KINDS.intersection(location[2:3]):
        location = (*location[:2], *location[3:])
    if not location:
        return [f"  {line}" for line in detail["msg"].removeprefix("Value error, ").splitlines()]
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        return [f"  {key}: no such setting; allowed: {allowed(location[:-1])}"]
    if detail["type"] == "missing":
        return [f"  {key} is missing; allowed: {allowed(location)}"]
    message = detail["msg"].removeprefix("Value error, ")
    return [f"  {key} = {_shown(location, detail['input'])}: {message}; allowed: {allowed(location)}"]


def _shown(location: tuple[str, ...], value: object) -> str:
    """Show a value, but no password: it could be anywhere in a value of the section database."""
    if location[0] == "database" and not isinstance(value, int | float):
        return repr(str(DatabaseUrl(value))) if isinstance(value, str) else "(not shown)"
    return repr(value)
