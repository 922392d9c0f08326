"""Shapes composed of other shapes."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from phantoms.shapes import BoundingBox, Field, Shape, as_field

_BEYOND_MM = 45.0


@dataclass(frozen=True, kw_only=True)
class Union(Shape):
    """Inside any part; ``blend_mm`` fills the grooves between them. Beyond 45 mm the distance is only a lower bound."""

    parts: tuple[Shape, ...]
    blend_mm: float = 0.0

    @property
    @override
    def box(self) -> BoundingBox:
        box = self.parts[0].box
        for part in self.parts[1:]:
            box = box.joined(part.box)
        return box.grown(self.blend_mm / 4)

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        result: Field | None = None
        for part in self.parts:
            if _far_from(part.box, x, y, z):
                continue
            other = part.distance(x, y, z)
            result = other if result is None else self._joined(result, other)
        if result is None:
            shape = np.broadcast_shapes(x.shape, y.shape, z.shape)
            return np.full(shape, _BEYOND_MM, np.float32)
        return result

    def _joined(self, a: Field, b: Field) -> Field:
        if not self.blend_mm:
            return np.minimum(a, b)
        k = np.float32(self.blend_mm)
        overlap = np.maximum(k - np.abs(a - b), 0)
        return as_field(np.minimum(a, b) - overlap * overlap / (4 * k))


@dataclass(frozen=True, kw_only=True)
class Difference(Shape):
    """Inside ``of``, inside all of ``within`` and outside all of ``without``."""

    of: Shape
    within: tuple[Shape, ...] = ()
    without: tuple[Shape, ...] = ()

    @property
    @override
    def box(self) -> BoundingBox:
        box = self.of.box
        for part in self.within:
            box = box.met(part.box)
        return box

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        result = self.of.distance(x, y, z)
        for part in self.within:
            result = np.maximum(result, part.distance(x, y, z))
        for part in self.without:
            result = np.maximum(result, -part.distance(x, y, z))
        return result


@dataclass(frozen=True, kw_only=True)
class Grown(Shape):
    """The shape with its surface moved outwards by ``mm`` (inwards where negative)."""

    of: Shape
    mm: float

    @property
    @override
    def box(self) -> BoundingBox:
        return self.of.box.grown(self.mm)

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        return as_field(self.of.distance(x, y, z) - np.float32(self.mm))


@dataclass(frozen=True, kw_only=True)
class Mirrored(Shape):
    """The shape's mirror image in the plane x = 0."""

    of: Shape

    @property
    @override
    def box(self) -> BoundingBox:
        low, high = self.of.box.low, self.of.box.high
        return BoundingBox(low=(-high[0], *low[1:]), high=(-low[0], *high[1:]))

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        return self.of.distance(-x, y, z)


def pair(shape: Shape) -> tuple[Shape, Shape]:
    """Return the shape on the patient's left (+x) and its image on the right."""
    return shape, Mirrored(of=shape)


def _far_from(box: BoundingBox, *points: Field) -> bool:
    """Tell whether every point lies well away from the box, on one side of it."""
    for axis, at in enumerate(points):
        if at.min() > box.high[axis] + _BEYOND_MM or at.max() < box.low[axis] - _BEYOND_MM:
            return True
    return False
