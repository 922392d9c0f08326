"""Rules as a text of their own: a draft is checked with the node's other settings, and faults have line and column."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

import tomlkit
from pydantic import ValidationError

from service.config.rules import Rule
from service.config.settings import Settings

LONGEST_TEXT = 60_000  # characters
_LONGEST_LINE = 10_000
_HEAD = re.compile(r"^\s*\[\[\s*rules\s*\]\]")
_TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, kw_only=True)
class RuleFault:
    """A fault in a draft of rules, and where it is: line and column from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, kw_only=True)
class RuleDraft:
    """A draft of rules: the settings that it results in, or what is wrong with it."""

    settings: Settings | None
    faults: tuple[RuleFault, ...] = ()


def rules_text(rules: Sequence[Rule]) -> str:
    """Return rules as a settings file has them, without the values that are the defaults."""
    document = tomlkit.document()
    tables = tomlkit.aot()
    for rule in rules:
        values = rule.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
        tables.append(tomlkit.item(values))
    document.append("rules", tables)
    return tomlkit.dumps(document) if rules else ""


def draft_of(text: str, settings: Settings) -> RuleDraft:
    """Return the settings with their rules replaced by those of a text, or the text's faults.

    Args:
        text: TOML with `[[rules]]` and nothing else.
        settings: the node's.
    """
    if len(text) > LONGEST_TEXT or any(len(line) > _LONGEST_LINE for line in text.splitlines()):
        return _wrong(
            1, 1, f"the text is longer than {LONGEST_TEXT} characters, or a line than {_LONGEST_LINE}"
        )
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        place = _TOML_PLACE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place else (len(text.splitlines()) or 1, 1)
        return _wrong(line, column, _TOML_PLACE.sub("", str(error)))
    other = next((key for key in tree if key != "rules"), None)
    if other is not None:
        return _wrong(*_place_of(text, other), f"{other} is not allowed here; only [[rules]] is")
    rest = {name: getattr(settings, name) for name in Settings.model_fields if name != "rules"}
    try:
        found = Settings.model_validate({**rest, "rules": tree.get("rules", [])})
    except ValidationError as error:
        faults = [fault for detail in error.errors() for fault in _faults(text, detail["loc"], detail["msg"])]
        return RuleDraft(settings=None, faults=tuple(dict.fromkeys(faults)))
    relative = [
        fault_at(
            text, number, "template", f"{rule.template} is not an absolute path; give the whole path, from /"
        )
        for number, rule in enumerate(found.rules)
        if rule.template is not None and not rule.template.is_absolute()
    ]
    return RuleDraft(settings=None, faults=tuple(relative)) if relative else RuleDraft(settings=found)


def fault_at(text: str, number: int, key: str, message: str) -> RuleFault:
    """Return a fault of one key of a rule; ``number`` is the rule's place in the text, from 0."""
    line, column = _rule_place(text, number, key)
    return RuleFault(line=line, column=column, message=message)


def _wrong(line: int, column: int, message: str) -> RuleDraft:
    return RuleDraft(settings=None, faults=(RuleFault(line=line, column=column, message=message),))


def _faults(text: str, location: tuple[int | str, ...], message: str) -> list[RuleFault]:
    said = message.removeprefix("Value error, ")
    if len(location) > 1 and isinstance(location[1], int):
        key = str(location[2]) if len(location) > 2 else ""
        return [fault_at(text, location[1], key, f"{key}: {said}" if key else said)]
    return [_of_whole(text, line) for line in said.splitlines()]


def _of_whole(text: str, message: str) -> RuleFault:
    """Locate a fault that concerns several rules at the first name that the message quotes."""
    for name in re.findall(r"'([^']+)'", message):
        for number, line in enumerate(text.splitlines(), 1):
            column = line.find(f'"{name}"')
            if column >= 0:
                return RuleFault(line=number, column=column + 1, message=message)
    return RuleFault(line=1, column=1, message=message)


def _rule_place(text: str, number: int, key: str) -> tuple[int, int]:
    lines = text.splitlines()
    heads = [index for index, line in enumerate(lines) if _HEAD.match(line)]
    if number >= len(heads):
        return 1, 1
    end = heads[number + 1] if number + 1 < len(heads) else len(lines)
    wanted = re.compile(rf'^\s*"?{re.escape(key)}"?\s*=\s*')
    for index in range(heads[number] + 1, end):
        found = wanted.match(lines[index]) if key else None
        if found:
            return index + 1, found.end() + 1
    return heads[number] + 1, 1


def _place_of(text: str, key: str) -> tuple[int, int]:
    for number, line in enumerate(text.splitlines(), 1):
        column = line.find(key)
        if column >= 0:
            return number, column + 1
    return 1, 1
