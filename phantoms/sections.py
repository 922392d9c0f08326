"""Shapes given by their sections: lofts along z, and bands that stand on a curve."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from typing_extensions import override

from phantoms.shapes import BoundingBox, Field, Shape, as_field, power_mean

_TINY = np.float32(1e-6)
_KNOTS = 256


@dataclass(frozen=True, kw_only=True)
class Loft(Shape):
    """Superellipse cross-sections that change with z: centre, half width (x), front (-y) and back (+y) reach."""

    z: tuple[float, ...]
    centre_x: tuple[float, ...]
    centre_y: tuple[float, ...]
    half_width: tuple[float, ...]
    front: tuple[float, ...]
    back: tuple[float, ...]
    exponent: float = 2.0

    @cached_property
    @override
    def box(self) -> BoundingBox:
        x, y = np.array(self.centre_x), np.array(self.centre_y)
        width, front, back = np.array(self.half_width), np.array(self.front), np.array(self.back)
        return BoundingBox(
            low=(float((x - width).min()), float((y - front).min()), self.z[0]),
            high=(float((x + width).max()), float((y + back).max()), self.z[-1]),
        )

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        centre_x, centre_y, half_width, front, back = self._sections(z)
        u, v = x - centre_x, y - centre_y
        reach = front if front is back else np.where(v < 0, front, back)
        level = power_mean((u / half_width, v / reach), self.exponent)
        radial = (level - 1) * power_mean((u, v), 2.0) / (level + _TINY)
        # on the axis itself the radial form gives 0: there the nearer wall counts
        radial = np.where(level < np.float32(0.05), -np.minimum(front, back), radial)
        ends = np.maximum(np.float32(self.z[0]) - z, z - np.float32(self.z[-1]))
        return as_field(np.maximum(radial, ends))

    def _sections(self, z: Field) -> tuple[Field, Field, Field, Field, Field]:
        """Return centre x and y, half width, front and back reach, in mm, at the heights ``z``."""
        scale = np.float32((_KNOTS - 1) / (self.z[-1] - self.z[0]))
        position = np.clip((z - np.float32(self.z[0])) * scale, 0, np.float32(_KNOTS - 1.001))
        index = position.astype(np.intp)
        part = position - index
        centre_x, centre_y, half_width, front, back = (
            as_field(table[0]) if table[0] == table.min() == table.max() else _looked_up(table, index, part)
            for table in self._tables
        )
        return centre_x, centre_y, half_width, front, front if self.front == self.back else back

    @cached_property
    def _tables(self) -> tuple[Field, ...]:
        knots = np.linspace(self.z[0], self.z[-1], _KNOTS)
        columns = (self.centre_x, self.centre_y, self.half_width, self.front, self.back)
        return tuple(as_field(PchipInterpolator(self.z, column)(knots)) for column in columns)


@dataclass(frozen=True, kw_only=True)
class Ribbon(Shape):
    """An upright band along a curve in x and y, with thickness and lower and upper edge given along it."""

    points_xy: tuple[tuple[float, float], ...]
    half_thickness: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    edge_mm: float = 2.0

    @property
    @override
    def box(self) -> BoundingBox:
        points = np.array(self.points_xy)
        reach = max(self.half_thickness)
        (x0, y0), (x1, y1) = points.min(0) - reach, points.max(0) + reach
        return BoundingBox(
            low=(float(x0), float(y0), min(self.lower)), high=(float(x1), float(y1), max(self.upper))
        )

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        nearest = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), 1e6, np.float32)
        place = np.zeros_like(nearest)
        points = np.array(self.points_xy, np.float32)
        for i in range(len(points) - 1):
            step = points[i + 1] - points[i]
            share = ((x - points[i, 0]) * step[0] + (y - points[i, 1]) * step[1]) / (step @ step)
            share = np.clip(share, 0, 1)
            away = np.hypot(x - points[i, 0] - share * step[0], y - points[i, 1] - share * step[1])
            closer = away < nearest
            nearest = np.where(closer, away, nearest)
            place = np.where(closer, i + share, place)
        at = np.arange(len(points))
        across = nearest - np.interp(place, at, self.half_thickness)
        down = np.interp(place, at, self.lower) - z
        up = z - np.interp(place, at, self.upper)
        edge = np.float32(self.edge_mm)
        return _rounded_maximum(as_field(across), as_field(np.maximum(down, up)), edge)


def _rounded_maximum(a: Field, b: Field, radius: np.float32) -> Field:
    corner = np.hypot(np.maximum(a + radius, 0), np.maximum(b + radius, 0)) - radius
    return as_field(np.where((a > -radius) & (b > -radius), corner, np.maximum(a, b)))


def _looked_up(table: Field, index: NDArray[np.intp], part: Field) -> Field:
    slope = np.append(np.diff(table), np.float32(0)).astype(np.float32)
    return as_field(table[index] + slope[index] * part)
