"""Every setting with its type, range, default and meaning: for docs/settings.md and for error messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from annotated_types import Ge, Interval, Le
from pydantic.fields import FieldInfo

from service.config.node import DatabaseUrl
from service.config.section import SettingsSection
from service.config.settings import Settings

ONE_OF = "one of "
UNITS = {"_s": "seconds", "_bytes": "bytes", "_mm": "mm", "_days": "days", "_percent": "percent"}
KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    DatabaseUrl: "URL",
}


@dataclass(frozen=True, kw_only=True)
class SettingLine:
    """One setting as the documentation shows it."""

    key: str  # "work.lease_s"; "*" stands for a name, "N" for a place in a list
    kind: str
    unit: str
    allowed: str
    default: str
    description: str

    def markdown(self) -> str:
        """Give the row of the table in docs/settings.md."""
        cells = (f"`{self.key}`", self.kind, self.unit, self.allowed, self.default, self.description)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def setting_lines(section: type[SettingsSection] = Settings, prefix: str = "") -> Iterator[SettingLine]:
    """Give a line for each setting, in the order of the tree."""
    for name, field in section.model_fields.items():
        kind, inner = _kind(field.annotation)
        key = prefix + name
        if inner is not None:
            middle = {"section": ".", "table": ".*.", "list": ".N."}[kind]
            yield from setting_lines(inner, key + middle)
        else:
            yield _line(key, name, kind, field)


def allowed(location: tuple[str, ...]) -> str:
    """Say what may stand at a place in the tree (for an error message)."""
    section: type[SettingsSection] = Settings
    for place, part in enumerate(location):
        field = section.model_fields.get(part)
        if field is None:  # the name in a table or the place in a list
            continue
        kind, inner = _kind(field.annotation)
        if inner is None:
            line = _line(part, part, kind, field)
            return (
                " ".join(text for text in (line.kind, line.unit, line.allowed) if text)
                + f" ({line.description})"
            )
        section = inner
        if kind == "table" and place == len(location) - 1:
            return "a table of names"
    return ", ".join(section.model_fields)


def _line(key: str, name: str, kind: str, field: FieldInfo) -> SettingLine:
    return SettingLine(
        key=key,
        kind=kind,
        unit=next((unit for ending, unit in UNITS.items() if name.endswith(ending)), ""),
        allowed=_range(field.annotation, field.metadata),
        default="required" if field.is_required() else _default(field.default),
        description=str(field.description),
    )


def _default(value: object) -> str:
    if value is None:
        return "absent"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value) or "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(annotation: Any) -> tuple[str, type[SettingsSection] | None]:
    """Give the kind in words and, where the setting holds sections, their type."""
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, SettingsSection):
        return "section", bare
    if get_origin(bare) is dict:
        return "table", _bare(get_args(bare)[1])
    if get_origin(bare) is tuple:
        element, inner = _kind(get_args(bare)[0])
        several = "any" + element.removeprefix("one") if element.startswith(ONE_OF) else f"list of {element}s"
        return ("list", inner) if inner is not None else (several, None)
    if isinstance(bare, type) and issubclass(bare, StrEnum):
        return ONE_OF + ", ".join(bare), None
    return KINDS[bare], None


def _bare(annotation: Any) -> Any:
    """Take Annotated[] and '| None' off a type."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return _bare(next(part for part in get_args(annotation) if part is not type(None)))
    return annotation


def _metadata(annotation: Any, metadata: list[Any]) -> Iterator[Any]:
    for item in metadata:
        yield from item.metadata if isinstance(item, FieldInfo) else (item,)
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _metadata(part, [])
    if get_origin(annotation) is Annotated:
        base, *extra = get_args(annotation)
        yield from _metadata(base, extra)


def _range(annotation: Any, metadata: list[Any]) -> str:
    low = high = ""
    for item in _metadata(annotation, metadata):
        if isinstance(item, Ge | Interval) and item.ge is not None:
            low = f"{item.ge}"
        if isinstance(item, Le | Interval) and item.le is not None:
            high = f"{item.le}"
    return f"{low} to {high}" if low and high else ""
