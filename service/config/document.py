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
from service.config.tls import TlsSettings

Sections = tuple[type[SettingsSection], ...]
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
    """One setting as it appears in the documentation."""

    key: str  # "work.lease_s"; "*" stands for a name, "N" for an index in a list
    kind: str
    unit: str
    allowed: str
    default: str
    description: str

    def markdown(self) -> str:
        """Return the row of the table in docs/settings.md."""
        cells = (f"`{self.key}`", self.kind, self.unit, self.allowed, self.default, self.description)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def setting_lines() -> Iterator[SettingLine]:
    """Yield a line for each setting, in the order of the tree; the keys of the block ``tls`` once, at the end."""
    yield from _lines((Settings,), "")
    yield from _lines((TlsSettings,), "tls.")


def _lines(sections: Sections, prefix: str) -> Iterator[SettingLine]:
    for name, field in _fields(sections).items():
        kind, inner = _kind(field.annotation)
        key = prefix + name
        if inner == (TlsSettings,):
            yield _line(key, name, "block `tls`", field)
        elif inner:
            middle = {"section": ".", "table": ".*.", "list": ".N."}[kind]
            yield from _lines(inner, key + middle)
        else:
            yield _line(key, name, kind, field)


def _fields(sections: Sections) -> dict[str, FieldInfo]:
    """Return the fields of a section, or of all kinds of section that are possible in one place."""
    found: dict[str, FieldInfo] = {}
    for section in sections:
        found |= {name: field for name, field in section.model_fields.items() if name not in found}
    return found


def allowed(location: tuple[str, ...]) -> str:
    """Say what is allowed at a place in the tree, for an error message."""
    sections: Sections = (Settings,)
    for place, part in enumerate(location):
        field = _fields(sections).get(part)
        if field is None:  # a name in a table or an index in a list
            continue
        kind, inner = _kind(field.annotation)
        if not inner:
            line = _line(part, part, kind, field)
            return (
                " ".join(text for text in (line.kind, line.unit, line.allowed) if text)
                + f" ({line.description})"
            )
        sections = inner
        if kind == "table" and place == len(location) - 1:
            return "a table of names"
    return ", ".join(_fields(sections))


def _line(key: str, name: str, kind: str, field: FieldInfo) -> SettingLine:
    return SettingLine(
        key=key,
        kind=kind,
        unit=next((unit for ending, unit in UNITS.items() if name.endswith(ending)), ""),
        allowed=_range(field.annotation, field.metadata),
        default="required"
        if field.is_required()
        else _default(None if field.default_factory else field.default),
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


def _kind(annotation: Any) -> tuple[str, Sections]:
    """Return the kind in words and, if the setting contains sections, their types."""
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, SettingsSection):
        return "section", (bare,)
    if get_origin(bare) is dict:
        element, inner = _kind(get_args(bare)[1])
        return (
            ("table", tuple(_alternatives(get_args(bare)[1])))
            if inner
            else (f"table of names, each {element}", ())
        )
    if get_origin(bare) is tuple:
        element, inner = _kind(get_args(bare)[0])
        several = "any" + element.removeprefix("one") if element.startswith(ONE_OF) else f"list of {element}s"
        return ("list", inner) if inner else (several, ())
    if isinstance(bare, type) and issubclass(bare, StrEnum):
        return ONE_OF + ", ".join(bare), ()
    return KINDS[bare], ()


def _alternatives(annotation: Any) -> Iterator[type[SettingsSection]]:
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _alternatives(part)
    else:
        yield annotation


def _bare(annotation: Any) -> Any:
    """Strip Annotated[] and '| None' from a type."""
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
