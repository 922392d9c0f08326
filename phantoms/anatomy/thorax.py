"""A chest: lungs with vessels and ribs, heart, great vessels, spine, liver, and a tumour in one lung."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from phantoms.composed import Difference, Grown, Mirrored, Union
from phantoms.layers import Fill, Layer, both_sides, shell, solid
from phantoms.sections import Loft
from phantoms.shapes import Ellipsoid, Point, Shape, Stripes, Tube
from phantoms.trunk import ThoraxParameters

_LUNG_Z = (-175.0, -140.0, -90.0, -40.0, 20.0, 70.0, 105.0, 118.0)
_LUNG_X = (86.0, 84.0, 82.0, 80.0, 74.0, 62.0, 50.0, 46.0)


def structures(how: ThoraxParameters) -> Mapping[str, Shape]:
    """Return the exact shapes, by code."""
    tumour = gtv(how)
    return {
        "GTV": tumour,
        "Lung_L": Difference(of=_lung(), without=(*_middle(), tumour)),
        "Lung_R": Mirrored(
            of=Difference(of=_lung(), without=(*(Mirrored(of=s) for s in _middle()), Mirrored(of=tumour)))
        ),
        "Heart": _heart(),
        "SpinalCord": _cord(),
    }


def thorax(how: ThoraxParameters) -> list[Layer]:
    """Return every layer, in the order in which they are painted."""
    dense, muscle = how.bone_density, how.muscle_hu
    trachea = Tube(points=((0, -5, 130), (0, 5, 60), (0, 8, 0)), radii=(9, 9, 9))
    bronchus = Tube(points=((0, 8, 0), (28, 12, -22), (50, 16, -40)), radii=(7, 6, 4))
    sternum = Tube(
        points=((0, -88, 95), (0, -106, 30), (0, -108, -60)), radii=(9, 9, 8), stretch=(2.2, 0.8, 1)
    )
    blade = Tube(
        points=((150, 60, 110), (120, 96, 60), (105, 104, -10)), radii=(7, 6, 4), stretch=(1.2, 0.8, 1.3)
    )
    liver = Ellipsoid(centre=(-60, -5, -205), semi=(105, 92, 78))
    spleen = Ellipsoid(centre=(75, 20, -205), semi=(62, 70, 68))
    return [
        *_outline(how),
        *both_sides([_wall(how)]),
        *both_sides([solid(shape, -40, 25) for shape in (_middle()[1],)]),
        solid(liver, 62, 8),
        solid(spleen, 55, 8),
        *_lung_vessels(how),
        solid(_heart(), 0.4 * how.vessel_hu + 25, 10),
        *_great_vessels(how),
        solid(Tube(points=((4, 32, 130), (4, 34, 0), (10, 34, -200)), radii=(8, 8, 8)), muscle - 10, 8),
        solid(trachea, -980),
        *both_sides([solid(bronchus, -960)]),
        shell(sternum, 500 * dense, 2, 160),
        *both_sides([shell(blade, 750 * dense, 2, 200)]),
        *_spine(how),
        *_tumour(how),
    ]


def gtv(how: ThoraxParameters) -> Shape:
    """Return the tumour: a cluster of balls in one lung, 4 to 30 mm in radius.

    The average patient's is in the left lung.
    """
    rng = np.random.default_rng([how.seed, 5])
    radius = 16.0 if how.seed == 0 else float(np.exp(rng.uniform(np.log(5.0), np.log(30.0))))
    x, y, z = _place(rng, radius)
    lumps = [Ellipsoid(centre=(x, y, z), semi=(radius, 0.92 * radius, 0.95 * radius))]
    for _ in range(int(rng.integers(1, 5))):
        way = rng.standard_normal(3)
        way *= 0.6 * radius / np.linalg.norm(way)
        size = radius * rng.uniform(0.45, 0.8, 3)
        lumps.append(
            Ellipsoid(
                centre=(x + float(way[0]), y + float(way[1]), z + float(way[2])),
                semi=(float(size[0]), float(size[1]), float(size[2])),
            )
        )
    return Union(parts=tuple(lumps), blend_mm=0.4 * radius)


def _place(rng: np.random.Generator, radius: float) -> Point:
    """Return a point in a lung, off its middle line; large tumours may touch the wall or mediastinum."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    z = float(rng.uniform(-105.0, 75.0))
    angle, out = float(rng.uniform(0, 2 * np.pi)), float(np.sqrt(rng.uniform(0, 0.55)))
    wide = float(np.interp(z, _LUNG_Z, (55, 58, 56, 52, 46, 36, 20, 5)))
    deep = float(np.interp(z, _LUNG_Z, (80, 82, 80, 76, 66, 48, 26, 6)))
    middle = float(np.interp(z, _LUNG_Z, _LUNG_X))
    reach = max(0.0, 1.0 - 0.5 * radius / wide)
    x = side * (middle + out * reach * wide * float(np.cos(angle)) + 6)
    return x, 5 + out * reach * deep * float(np.sin(angle)), z


def _tumour(how: ThoraxParameters) -> list[Layer]:
    """Return the tumour with spicules that are not part of it."""
    rng = np.random.default_rng([how.seed, 6])
    shape = gtv(how)
    low, high = np.array(shape.box.low), np.array(shape.box.high)
    centre, radius = (low + high) / 2, float((high - low).max()) / 2
    spicules = []
    for _ in range(int(rng.integers(2, 7))):
        way = rng.standard_normal(3)
        tip = centre + way / np.linalg.norm(way) * (radius + rng.uniform(3, 9))
        spicules.append(Tube(points=(_point(centre), _point(tip)), radii=(2.2, 0.6)))
    layers = [solid(spicule, -150, 40) for spicule in spicules]
    return [*layers, Layer(shape=shape, fills=(Fill(hu=38, texture_hu=24),))]


def _outline(how: ThoraxParameters) -> list[Layer]:
    extra = 0.5 * (how.fat_mm - 22.0)
    skin = Grown(
        of=Loft(
            z=(-260, -150, -60, 20, 80, 115, 140, 200),
            centre_x=(0,) * 8, centre_y=(10,) * 8,
            half_width=(165, 172, 178, 182, 190, 200, 205, 190),
            front=(118, 122, 122, 118, 108, 98, 88, 70), back=(112, 116, 118, 120, 116, 108, 100, 90),
            exponent=2.6,
        ),
        mm=extra,
    )  # fmt: skip
    ring = 2.0 + 0.6 * how.fat_mm
    fills = (
        Fill(hu=5),
        Fill(hu=how.fat_hu, depth_mm=1.6, texture_hu=15),
        Fill(hu=how.muscle_hu, depth_mm=ring, texture_hu=40),
        Fill(hu=how.fat_hu + 25, depth_mm=ring + 16, texture_hu=30),
    )
    return [Layer(shape=skin, fills=fills)]


def _wall(how: ThoraxParameters) -> Layer:
    """Return a lung with the ribs round it."""
    ribs, marrow = (Stripes(period_mm=24, slope_y=0.45, share=share) for share in (0.35, 0.75))
    return Layer(
        shape=Grown(of=_lung(), mm=9),
        fills=(
            Fill(hu=520 * how.bone_density, within=ribs),
            Fill(hu=220, depth_mm=1.8, within=marrow),
            Fill(hu=how.fat_hu + 70, depth_mm=6),
            Fill(hu=-835, depth_mm=9, texture_hu=60),
        ),
    )


def _lung() -> Loft:
    return Loft(
        z=_LUNG_Z, centre_x=_LUNG_X, centre_y=(8,) * 8,
        half_width=(58, 62, 60, 56, 50, 40, 24, 6), front=(86, 92, 92, 88, 76, 56, 30, 6),
        back=(84, 88, 86, 82, 72, 54, 30, 6), exponent=2.3,
    )  # fmt: skip


def _middle() -> tuple[Shape, ...]:
    """Return the mediastinum, which the lungs are cut off by."""
    return (
        _heart(),
        Ellipsoid(centre=(0, 0, -10), semi=(34, 62, 175)),
        Tube(points=((0, 66, 130), (0, 70, -260)), radii=(26, 30)),
    )


def _heart() -> Shape:
    return Ellipsoid(centre=(26, -42, -92), semi=(56, 50, 50), turn_z_deg=25)


def _great_vessels(how: ThoraxParameters) -> list[Layer]:
    arch = Tube(
        points=((-12, -30, -45), (-14, -32, 10), (4, -12, 34), (20, 22, 24), (20, 42, -20), (14, 46, -240)),
        radii=(16, 15, 14, 13, 12.5, 12),
    )
    cava = Tube(points=((-24, -24, 90), (-28, -22, 20), (-30, -24, -60)), radii=(8, 9, 10))
    trunk = Tube(points=((10, -44, -45), (14, -20, -10), (44, 2, -24)), radii=(14, 12, 8))
    right = Tube(points=((14, -18, -12), (-44, 4, -26)), radii=(11, 8))
    return [solid(shape, how.vessel_hu, 4) for shape in (arch, cava, trunk, right)]


def _lung_vessels(how: ThoraxParameters) -> list[Layer]:
    """Return the branches from the hilum outwards."""
    rng = np.random.default_rng([how.seed, 7])
    layers = []
    for side in (1.0, -1.0):
        hilum = np.array([44.0 * side, 4.0, -25.0])
        for _ in range(16):
            way = np.array([side * rng.uniform(0.2, 1.0), rng.uniform(-1, 1), rng.uniform(-1.4, 1.2)])
            way /= np.linalg.norm(way)
            middle = hilum + way * rng.uniform(22, 40) + rng.normal(0, 4, 3)
            tip = middle + way * rng.uniform(18, 40) + rng.normal(0, 6, 3)
            size = float(rng.uniform(2.0, 4.5))
            tube = Tube(
                points=(_point(hilum), _point(middle), _point(tip)), radii=(size, 0.7 * size, 0.35 * size)
            )
            layers.append(solid(tube, min(40.0, how.vessel_hu)))
    return layers


def _spine(how: ThoraxParameters) -> list[Layer]:
    dense = how.bone_density
    layers: list[Layer] = []
    for i in range(18):
        z = 150.0 - 23.0 * i
        body = Ellipsoid(centre=(0, 62, z), semi=(16, 14, 10.5), exponent=4.0)
        arch = Difference(
            of=Ellipsoid(centre=(0, 84, z - 2), semi=(21, 17, 10)), without=(Grown(of=_cord(), mm=4.5),)
        )
        spine = Tube(points=((0, 96, z - 4), (0, 116, z - 18)), radii=(4, 3.2))
        layers += [
            shell(body, 700 * dense, 1.6, 250 * dense, 40),
            shell(arch, 700 * dense, 1.8, 320),
            shell(spine, 650 * dense, 1.4, 260),
        ]
    return [*layers, solid(Grown(of=_cord(), mm=4.0), 12), solid(_cord(), 38, 4)]


def _cord() -> Shape:
    return Tube(points=((0, 84, 220), (0, 84, -280)), radii=(6, 6), stretch=(1.2, 1, 1))


def _point(values: NDArray[np.float64]) -> Point:
    return float(values[0]), float(values[1]), float(values[2])
