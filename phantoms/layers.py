"""Layers: shapes with their fillings, painted one over the other."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from phantoms.composed import Mirrored
from phantoms.shapes import Shape


@dataclass(frozen=True, kw_only=True)
class Fill:
    """What lies deeper than ``depth_mm`` under the surface (and inside ``within``): HU, and its texture's amplitude."""

    hu: float
    depth_mm: float = 0.0
    texture_hu: float = 0.0
    within: Shape | None = None


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One shape and its fills, outermost first."""

    shape: Shape
    fills: tuple[Fill, ...]


def solid(shape: Shape, hu: float, texture_hu: float = 0.0) -> Layer:
    """Return a shape of one tissue."""
    return Layer(shape=shape, fills=(Fill(hu=hu, texture_hu=texture_hu),))


def shell(shape: Shape, rind_hu: float, rind_mm: float, core_hu: float, texture_hu: float = 0.0) -> Layer:
    """Return a shape with a rind of one tissue round a core of another (cortical bone round marrow)."""
    return Layer(
        shape=shape,
        fills=(Fill(hu=rind_hu), Fill(hu=core_hu, depth_mm=rind_mm, texture_hu=texture_hu)),
    )


def both_sides(layers: Iterable[Layer]) -> list[Layer]:
    """Return the layers of the patient's left (+x) and their mirror images."""
    result = []
    for layer in layers:
        mirrored = tuple(
            replace(fill, within=Mirrored(of=fill.within)) if fill.within else fill for fill in layer.fills
        )
        result.append(layer)
        result.append(Layer(shape=Mirrored(of=layer.shape), fills=mirrored))
    return result
