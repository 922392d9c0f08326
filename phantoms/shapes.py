"""Implicit shapes in mm: each gives the approximate distance of a point outside it (negative inside)."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import override

Field = NDArray[np.float32]
Point = tuple[float, float, float]


_TINY = np.float32(1e-6)


@dataclass(frozen=True, kw_only=True)
class BoundingBox:
    """An axis-aligned box that encloses a shape; corners in mm (x, y, z)."""

    low: Point
    high: Point

    def grown(self, mm: float) -> "BoundingBox":
        """Return the box with every face moved outwards."""
        return BoundingBox(low=_shift(self.low, -mm), high=_shift(self.high, mm))

    def joined(self, other: "BoundingBox") -> "BoundingBox":
        """Return the smallest box round both."""
        return BoundingBox(
            low=as_point(np.minimum(self.low, other.low)),
            high=as_point(np.maximum(self.high, other.high)),
        )

    def met(self, other: "BoundingBox") -> "BoundingBox":
        """Return the part in both (low may exceed high: then it contains no point)."""
        return BoundingBox(
            low=as_point(np.maximum(self.low, other.low)),
            high=as_point(np.minimum(self.high, other.high)),
        )


class Shape(Protocol):
    """Anything that knows inside from outside."""

    @property
    def box(self) -> BoundingBox:
        """The box that the shape does not leave."""
        ...

    def distance(self, x: Field, y: Field, z: Field) -> Field:
        """Return the approximate signed distance in mm, negative inside; exact in sign, first order near it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ellipsoid(Shape):
    """A superellipsoid |x/a|^n + |y/b|^n + |z/c|^n <= 1 (n = 2: an ellipsoid), turned about z then x."""

    centre: Point
    semi: Point
    exponent: float = 2.0
    turn_z_deg: float = 0.0
    turn_x_deg: float = 0.0

    @property
    @override
    def box(self) -> BoundingBox:
        reach = max(self.semi) * 1.75 if self.exponent > 2.0 else max(self.semi)
        turned = bool(self.turn_z_deg or self.turn_x_deg)
        half = (reach, reach, reach) if turned else self.semi
        return BoundingBox(
            low=as_point(np.subtract(self.centre, half)), high=as_point(np.add(self.centre, half))
        )

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        u, v, w = (
            x - np.float32(self.centre[0]),
            y - np.float32(self.centre[1]),
            z - np.float32(self.centre[2]),
        )
        if self.turn_z_deg:
            u, v = _turned(u, v, self.turn_z_deg)
        if self.turn_x_deg:
            v, w = _turned(v, w, self.turn_x_deg)
        a, b, c = (np.float32(s) for s in self.semi)
        level = power_mean((u / a, v / b, w / c), self.exponent)
        if self.exponent == 2.0:
            slope = power_mean((u / a**2, v / b**2, w / c**2), 2.0) + _TINY
            return as_field(level * (level - 1) / slope)
        return as_field((level - 1) * power_mean((u, v, w), 2.0) / (level + _TINY))


@dataclass(frozen=True, kw_only=True)
class Tube(Shape):
    """A chain of rounded cones along points; ``stretch`` flattens the cross-section along an axis."""

    points: tuple[Point, ...]
    radii: tuple[float, ...]
    stretch: Point = (1.0, 1.0, 1.0)

    @property
    @override
    def box(self) -> BoundingBox:
        reach = np.array(self.stretch) * max(self.radii)
        points = np.array(self.points)
        return BoundingBox(low=as_point(points.min(0) - reach), high=as_point(points.max(0) + reach))

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        scale = np.array(self.stretch, np.float32)
        points = np.array(self.points, np.float32) / scale
        at = (x / scale[0], y / scale[1], z / scale[2])
        best: Field | None = None
        for i in range(len(points) - 1):
            found = _to_segment(at, points[i], points[i + 1], self.radii[i], self.radii[i + 1])
            best = found if best is None else np.minimum(best, found)
        if best is None:
            raise ValueError("A tube needs two points or more.")
        return as_field(best * scale.min())


@dataclass(frozen=True, kw_only=True)
class Slab(Shape):
    """Everything between two heights."""

    low_z: float = -1e4
    high_z: float = 1e4

    @property
    @override
    def box(self) -> BoundingBox:
        return BoundingBox(low=(-1e4, -1e4, self.low_z), high=(1e4, 1e4, self.high_z))

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        del x, y
        return as_field(np.maximum(np.float32(self.low_z) - z, z - np.float32(self.high_z)))


@dataclass(frozen=True, kw_only=True)
class Above(Shape):
    """The half space on the upper side of the slope z = height + slope_y * y."""

    height: float
    slope_y: float

    @property
    @override
    def box(self) -> BoundingBox:
        return BoundingBox(low=(-1e4, -1e4, -1e4), high=(1e4, 1e4, 1e4))

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        del x
        steep = np.float32(np.hypot(1, self.slope_y))
        return as_field((np.float32(self.height) + np.float32(self.slope_y) * y - z) / steep)


@dataclass(frozen=True, kw_only=True)
class Stripes(Shape):
    """Every second layer across z + slope * y: where the wave of ``period_mm`` is above ``share`` (ribs)."""

    period_mm: float
    slope_y: float
    share: float

    @property
    @override
    def box(self) -> BoundingBox:
        return BoundingBox(low=(-1e4, -1e4, -1e4), high=(1e4, 1e4, 1e4))

    @override
    def distance(self, x: Field, y: Field, z: Field) -> Field:
        del x
        wave = np.sin((z + np.float32(self.slope_y) * y) * np.float32(2 * np.pi / self.period_mm))
        return as_field((np.float32(self.share) - wave) * np.float32(self.period_mm / (2 * np.pi)))


def power_mean(parts: tuple[Field, ...], exponent: float) -> Field:
    """Return (sum of |part|^n)^(1/n), fast where n is 2 or 4."""
    if exponent == 2.0:
        return as_field(np.sqrt(sum(part * part for part in parts)))
    if exponent == 4.0:
        return as_field(np.sqrt(np.sqrt(sum(np.square(part * part) for part in parts))))
    n = np.float32(exponent)
    total = sum(np.abs(part) ** n for part in parts)
    return as_field(np.power(total, np.float32(1 / exponent)))


def as_field(values: ArrayLike) -> Field:
    """Return the values as float32."""
    return np.asarray(values, np.float32)


def as_point(values: NDArray[np.float64]) -> Point:
    """Return three numbers as a tuple of floats."""
    x, y, z = (float(v) for v in values)
    return x, y, z


def _to_segment(
    at: tuple[Field, Field, Field], a: Field, b: Field, radius_a: float, radius_b: float
) -> Field:
    step = b - a
    offset = [at[i] - a[i] for i in range(3)]
    share = (offset[0] * step[0] + offset[1] * step[1] + offset[2] * step[2]) / max(float(step @ step), 1e-6)
    share = np.clip(share, 0, 1)
    away = np.sqrt(sum((offset[i] - share * step[i]) ** 2 for i in range(3)))
    return as_field(away - (np.float32(radius_a) + share * np.float32(radius_b - radius_a)))


def _turned(u: Field, v: Field, angle_deg: float) -> tuple[Field, Field]:
    c, s = np.float32(np.cos(np.deg2rad(angle_deg))), np.float32(np.sin(np.deg2rad(angle_deg)))
    return c * u + s * v, c * v - s * u


def _shift(point: Point, mm: float) -> Point:
    return point[0] + mm, point[1] + mm, point[2] + mm
