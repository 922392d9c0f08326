"""Reads the settings file and the environment into one frozen tree, or says in full what is wrong with them."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.config.document import allowed
from service.config.node import DatabaseUrl
from service.config.settings import Settings

PREFIX = "CONTOUR_NODE_"
SEPARATOR = "__"
_LONGEST_LINE = 10_000  # the parser takes minutes for a name of a hundred thousand parts
Tree = dict[str, Any]


class SettingsRefused(Exception):
    """The settings cannot be used; the message names each key, its value and what is allowed, one a line."""


def process_environment() -> dict[str, str]:
    """Give a copy of the environment of this process."""
    return dict(os.environ)  # noqa: TID251 - the one place that reads it


def load_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Give the settings in the file, overridden by CONTOUR_NODE_<SECTION>__<KEY> in the environment.

    Lists and tables in the environment are JSON. Variables without the prefix are not looked at.

    Raises:
        SettingsRefused: with every problem found, not only the first.
    """
    tree = {} if path is None else _read_file(path)
    for variable, value in sorted(environment.items()):
        if variable.startswith(PREFIX):
            _put(tree, variable, value)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        origin = "the environment" if path is None else f"{path} and the environment"
        lines = [line for detail in error.errors() for line in _explain(detail)]
        raise SettingsRefused(
            "\n".join([f"{len(lines)} problem(s) with the settings from {origin}:", *lines])
        ) from None  # the original shows values, and with them the database's password


def _read_file(path: Path) -> Tree:
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
    """Put the value of one variable at its place in the tree; case of the variable does not matter."""
    *sections, key = variable.removeprefix(PREFIX).lower().split(SEPARATOR)
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
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
    """Show a value, but no password: one can stand anywhere in what was meant for the database's section."""
    if location[0] == "database" and not isinstance(value, int | float):
        return repr(str(DatabaseUrl(value))) if isinstance(value, str) else "(not shown)"
    return repr(value)
