"""A MONAI bundle's configuration read as data: components by an allow-list, expressions never evaluated.

MONAI itself imports whatever ``_target_`` names and evaluates whatever begins with ``$``: here, both are text.
"""

import re
from collections.abc import Mapping
from typing import Any

from inference.errors import ImportRefused

MOST_DEPTH = 20
_TARGET = re.compile(r"(?:monai\.(?:transforms|inferers|networks\.nets)\.)?([A-Za-z]+)")
_REFERENCE = re.compile(r"@([A-Za-z0-9_]+(?:(?:::|#)[A-Za-z0-9_]+)*)")
_MOVED = re.compile(r"\$(@[A-Za-z0-9_]+)\.(?:to|cuda|eval)\([^()]*\)")
"""The one kind of expression that means no more than a reference: a network that is moved to a device."""
_NEVER_ARGUMENTS = frozenset({"_target_", "_desc_", "_requires_", "_mode_"})


class Component:
    """One ``_target_`` with its arguments, which are taken one by one; any that remain at the end are refused."""

    def __init__(self, name: str, arguments: Mapping[str, Any], where: str) -> None:
        """Take the class name without its module, its arguments, and its place in the configuration for messages."""
        self.name, self.where = name, where
        self._left = dict(arguments)

    def take(self, key: str, default: Any = None) -> Any:
        """Return an argument, or the default where it is not stated."""
        value = self._left.pop(key, default)
        if isinstance(value, str) and value.startswith("$"):
            raise ImportRefused(f"{self.where}: {self.name}: {key} is the expression {value[:80]!r}; {_CODE}")
        return value

    def ignore(self, *keys: str) -> None:
        """Discard arguments that do not affect the result."""
        for key in keys:
            self._left.pop(key, None)

    def rest(self) -> dict[str, Any]:
        """Return the arguments not yet taken; expressions in them are refused."""
        return {key: self.take(key) for key in list(self._left)}

    def done(self) -> None:
        """Refuse arguments that were not taken."""
        if self._left:
            raise ImportRefused(
                f"{self.where}: {self.name} has arguments that are not known here: {', '.join(sorted(self._left))}; {_CODE}"
            )

    def only(self, key: str, *allowed: Any) -> None:
        """Refuse an argument unless it is absent or has one of these values."""
        value = self.take(key, allowed[0])
        if value not in allowed:
            raise ImportRefused(
                f"{self.where}: {self.name}: {key} = {value!r} is not supported here; {_CODE}"
            )


_CODE = "this bundle needs MONAI's own code: export its model.ts and import it with `models import torchscript --spec`"


class BundleConfiguration:
    """inference.json as data."""

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        """Take the parsed document and the bundle's name for messages."""
        self._document, self._name = document, name

    def first(self, *keys: str) -> Any:
        """Return the first of these entries that exists, references resolved; ImportRefused where none does."""
        for key in keys:
            if key in self._document:
                return self.resolved(self._document[key])
        raise ImportRefused(f"{self._name}: inference.json has none of {', '.join(keys)}")

    def has(self, key: str) -> bool:
        """Tell whether an entry exists."""
        return key in self._document

    def resolved(self, value: Any, depth: int = 0) -> Any:
        """Return a value with its references replaced by what they name; expressions stay text."""
        if depth > MOST_DEPTH:
            raise ImportRefused(f"{self._name}: inference.json: references form a circle")
        if isinstance(value, str):
            moved = _MOVED.fullmatch(value.strip())
            found = _REFERENCE.fullmatch(moved[1] if moved else value)
            return value if found is None else self.resolved(self._named(found[1]), depth + 1)
        if isinstance(value, list):
            return [self.resolved(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {str(key): self.resolved(item, depth + 1) for key, item in value.items()}
        return value

    def component(self, value: Any, where: str) -> Component:
        """Return one component; ImportRefused for text, an expression, and a class path that is not MONAI's."""
        if not isinstance(value, dict) or not isinstance(value.get("_target_"), str):
            shown = f"the expression {value[:80]!r}" if isinstance(value, str) else type(value).__name__
            raise ImportRefused(
                f"{self._name}: {where} is {shown}, expected a component with _target_; {_CODE}"
            )
        found = _TARGET.fullmatch(value["_target_"])
        if found is None:
            raise ImportRefused(
                f"{self._name}: {where}: _target_ {value['_target_'][:80]!r} is not one of MONAI's classes; nothing of it was "
                f"imported; {_CODE}"
            )
        arguments = {key: item for key, item in value.items() if key not in _NEVER_ARGUMENTS}
        disabled = arguments.pop("_disabled_", False)
        if disabled not in (False, True):
            raise ImportRefused(f"{self._name}: {where}: _disabled_ is {str(disabled)[:80]!r}; {_CODE}")
        name = found[1] if not disabled else "_disabled_"
        return Component(name, arguments, f"{self._name}: {where}")

    def composed(self, value: Any, where: str) -> list[Component]:
        """Return the components of a Compose or of a list, in order, without disabled ones."""
        if isinstance(value, dict):
            whole = self.component(value, where)
            if whole.name != "Compose":
                return [whole]
            value = whole.take("transforms", [])
        if not isinstance(value, list):
            raise ImportRefused(f"{self._name}: {where} is not a list of transforms; {_CODE}")
        found = [self.component(item, f"{where} {number}") for number, item in enumerate(value)]
        return [component for component in found if component.name != "_disabled_"]

    def _named(self, path: str) -> Any:
        value: Any = self._document
        for part in re.split(r"::|#", path):
            if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            elif isinstance(value, dict) and part in value:
                value = value[part]
            else:
                raise ImportRefused(f"{self._name}: inference.json refers to {path!r}, which is not there")
        return value
