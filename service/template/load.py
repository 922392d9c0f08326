"""Reads a template file, or reports everything that is wrong with it."""

import tomllib
from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from imaging.structures import CATALOGUE
from service.errors import Refused
from service.template.model import FORMAT, Entry, Template
from service.template.references import problems
from service.template.steps import Directions, RingMargin, Step, TemplateSection

_LONGEST_LINE = 10_000  # the parser takes minutes for a name of a hundred thousand parts
_TABLES: dict[str, type[TemplateSection]] = {
    "steps": Step,
    "structure": Entry,
    "ring_mm": RingMargin,
    "margin_mm": Directions,
}


class TemplateRefused(Refused):
    """The template cannot be used; the message names each structure and key, one problem per line."""


def load_template(path: Path, codes: Collection[str] = tuple(CATALOGUE)) -> Template:
    """Return the template in a file, checked against the structures that the model makes (`codes`).

    Raises:
        TemplateRefused: with every problem found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateRefused(f"the template {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TemplateRefused(f"the template {path} is not UTF-8: {error}") from error
    return parse_template(text, str(path), codes)


def parse_template(text: str, origin: str, codes: Collection[str] = tuple(CATALOGUE)) -> Template:
    """Return the template in a text; `origin` names it in messages. Raises TemplateRefused like `load_template`."""
    if any(len(line) > _LONGEST_LINE for line in text.splitlines()):
        raise TemplateRefused(f"the template {origin} has a line of more than {_LONGEST_LINE} characters")
    try:
        tree = tomllib.loads(text)
    except (
        ValueError,
        RecursionError,
    ) as error:  # also of a number with thousands of digits, or endless nesting
        raise TemplateRefused(f"the template {origin} is not TOML: {error}") from error
    try:
        template = Template.model_validate(tree)
    except ValidationError as error:
        found = [detail for detail in error.errors() if not _is_other_form(detail)]
        lines = list(dict.fromkeys(_explain(detail, tree) for detail in found))
        raise _refused(origin, lines) from None
    lines = problems(template, codes)
    if lines:
        raise _refused(origin, lines)
    return template


def default_template() -> Template:
    """Return the template used without a file: every structure of the model, by the catalogue, numbered from 1."""
    return Template(template=FORMAT, name="default", unlisted="send")


def _refused(origin: str, lines: list[str]) -> TemplateRefused:
    return TemplateRefused("\n  ".join([f"{len(lines)} problem(s) with the template {origin}:", *lines]))


def _is_other_form(detail: ErrorDetails) -> bool:
    """Tell whether pydantic only reports that a value does not have another of the forms that its key allows."""
    return detail["type"] in ("float_type", "string_type") and isinstance(detail["input"], dict | list)


def _explain(detail: ErrorDetails, tree: dict[str, object]) -> str:
    """Return one line: the structure by its name, the key, what was found and what is allowed."""
    where = _place(detail["loc"], tree)
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        keys = [part for part in detail["loc"][:-1] if isinstance(part, str) and part in _TABLES]
        section = _TABLES[keys[-1]] if keys else Template
        allowed = ", ".join(field.alias or name for name, field in section.model_fields.items())
        return f"{where}: no such key; allowed: {allowed}"
    if detail["type"] == "missing":
        return f"{where} is missing"
    if isinstance(detail["input"], dict | list):
        return f"{where}: {message}"
    return f"{where} = {detail['input']!r}: {message}"


def _place(location: tuple[int | str, ...], tree: dict[str, object]) -> str:
    """Name a place in the tree, as `structure 3 'PTV', steps 2, margin_mm`, without the parts that pydantic adds."""
    words: list[str] = []
    here: object = tree
    for part in location:
        inside = (isinstance(here, dict) and part in here) or isinstance(here, list)
        if isinstance(part, int):
            here = here[part] if isinstance(here, list) and part < len(here) else None
            name = here.get("name") if isinstance(here, dict) else None
            words[-1] += f" {part + 1}" + (f" '{name}'" if name else "")
        elif inside or part == location[-1]:
            words.append(part)
            here = here.get(part) if isinstance(here, dict) else None
    return ", ".join(words) or "the file"
