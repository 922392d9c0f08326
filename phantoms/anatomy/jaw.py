"""The mandible, teeth, tongue, chewing muscles and salivary glands."""

from phantoms.anatomy.outline import skin
from phantoms.composed import Difference, Grown, Mirrored, Union, pair
from phantoms.layers import Fill, Layer, both_sides, shell, solid
from phantoms.parameters import HeadNeckParameters
from phantoms.sections import Ribbon
from phantoms.shapes import Ellipsoid, Shape, Tube

# the left half of the arch, chin to condyle: x, y, half thickness, lower edge, upper edge (mm)
_ARCH = (
    (0, -106, 6.2, -51, -25), (9, -105, 6.2, -50, -25), (20, -98, 6.0, -47, -23), (29, -88, 5.8, -44, -21),
    (36, -76, 5.8, -42, -19), (41, -66, 5.2, -41, -13), (43.5, -61, 4.6, -40, 8), (45, -56, 4.2, -38, 21),
    (46.5, -50, 4.0, -36, 15), (48, -43, 4.0, -31, 11), (49.5, -35, 4.2, -21, 15), (51, -28, 4.8, -2, 26),
    (52, -20, 5.0, 10, 29),
)  # fmt: skip


def mandible(how: HeadNeckParameters) -> Shape:
    """Return the whole mandible, without teeth."""
    half = Ribbon(
        points_xy=tuple((x, y - how.chin_mm * max(0.0, (-y - 50) / 56)) for x, y, *_ in _ARCH),
        half_thickness=tuple(how.mandible_thickness * row[2] for row in _ARCH),
        lower=tuple(row[3] - _opened(row[1], how) for row in _ARCH),
        upper=tuple(row[4] - _opened(row[1], how) for row in _ARCH),
    )
    condyle = Tube(points=((46, -21, 27), (58, -19, 26)), radii=(4.6, 4.2))
    return Union(parts=(*pair(half), *pair(condyle)))


def parotid(how: HeadNeckParameters, side: str) -> Shape:
    """Return the parotid of ``side`` (L or R): round the ramus, below the ear, never in bone or skin."""
    grow = how.parotid_size_left if side == "L" else how.parotid_size_right
    superficial = Ellipsoid(centre=(59, -24, -8), semi=(11.0 * grow, 19 * grow, 26 * grow), turn_z_deg=14)
    deep = Ellipsoid(centre=(49, -15, -6), semi=(11 * grow, 9 * grow, 18 * grow))
    tail = Ellipsoid(centre=(55, -16, -28), semi=(8 * grow, 10 * grow, 12 * grow))
    gland = Union(parts=(superficial, deep, tail), blend_mm=6.0)
    mastoid = Ellipsoid(centre=(53, 14, 6), semi=(13, 16, 21))
    bone = Mirrored(of=mandible(how)) if side == "R" else mandible(how)
    under_skin = Grown(of=skin(how), mm=-2.5)
    within = Mirrored(of=under_skin) if side == "R" else under_skin
    cut = Difference(of=gland, within=(within,), without=(Grown(of=bone, mm=1.0), mastoid))
    return cut if side == "L" else Mirrored(of=cut)


def jaw(how: HeadNeckParameters) -> list[Layer]:
    """Return the layers: muscles and glands first, then bone and teeth, then the air of the mouth."""
    down = how.mouth_open_mm
    muscle = how.muscle_hu + 8
    masseter = Tube(
        points=((58, -62, 20), (58, -52, -6), (54, -48, -34)), radii=(6, 8, 6), stretch=(0.8, 1.9, 1)
    )
    medial = Tube(
        points=((22, -48, 14), (34, -46, -8), (43, -42, -30)), radii=(7, 8, 5), stretch=(0.8, 1.5, 1)
    )
    lateral = Tube(points=((22, -52, 20), (46, -24, 22)), radii=(8, 6))
    temporal = Ellipsoid(centre=(60, -50, 36), semi=(7, 22, 26))
    buccal = Ellipsoid(centre=(48, -74, 0), semi=(8, 12, 16))
    pharyngeal = Ellipsoid(centre=(34, -26, -4), semi=(7, 10, 16))
    infratemporal = Ellipsoid(centre=(46, -54, 12), semi=(10, 14, 12))
    tongue = Ellipsoid(centre=(0, -70, -16 - down / 2), semi=(24, 33, 19), exponent=2.3)
    floor = Ellipsoid(centre=(0, -74, -38 - down), semi=(26, 28, 12))
    submandibular = Ellipsoid(centre=(29, -50, -46 - down / 3), semi=(8, 14, 12))
    fat = how.fat_hu + 12
    return [
        *both_sides([solid(shape, fat, 20) for shape in (buccal, pharyngeal, infratemporal)]),
        *both_sides([solid(shape, muscle, 14) for shape in (masseter, medial, lateral, temporal)]),
        solid(floor, muscle - 12, 30),
        solid(tongue, muscle, 16),
        *both_sides([solid(submandibular, how.parotid_hu * 0.6 + 35, 10)]),
        *_glands(how),
        *_bones(how, down),
        *_mouth(down),
    ]


def _glands(how: HeadNeckParameters) -> list[Layer]:
    layers = []
    for side in ("L", "R"):
        gland = parotid(how, side)
        vein = Tube(points=((51, -22, 14), (51, -20, -34)), radii=(2.6, 2.8))
        layers.append(Layer(shape=gland, fills=(Fill(hu=how.parotid_hu, texture_hu=22),)))
        layers.append(solid(vein if side == "L" else Mirrored(of=vein), how.vessel_hu))
    return layers


def _bones(how: HeadNeckParameters, down: float) -> list[Layer]:
    dense = 1020 * how.bone_density
    layers = [shell(mandible(how), dense, 2.4, 380 * how.bone_density, 90)]
    upper = Ribbon(
        points_xy=tuple((0.88 * x, y - 0.0) for x, y, *_ in _ARCH[:5]),
        half_thickness=(5,) * 5, lower=(-4,) * 5, upper=(8,) * 5,
    )  # fmt: skip
    layers += both_sides([shell(upper, dense * 0.7, 1.5, 350)])
    if how.teeth:
        layers += both_sides([solid(tooth, 1900) for tooth in _teeth(how, down)])
    return layers


def _teeth(how: HeadNeckParameters, down: float) -> list[Shape]:
    teeth: list[Shape] = []
    for i, (x, y) in enumerate(
        ((3, -106), (9, -104.5), (15, -101), (20.5, -96), (26, -90), (30.5, -83), (35, -74))
    ):
        wide = 3.0 + 0.25 * i
        reach = y - how.chin_mm * max(0.0, (-y - 50) / 56)
        teeth.append(Ellipsoid(centre=(x, reach, -21 - down), semi=(wide, 3.6, 9)))
        teeth.append(Ellipsoid(centre=(0.92 * x, y - 1, -5), semi=(wide, 3.6, 9)))
    return teeth


def _mouth(down: float) -> list[Layer]:
    if down == 0.0:
        return []
    gap = Ellipsoid(centre=(0, -84, -5 - down / 3), semi=(20, 24, 2 + down / 3))
    return [solid(gap, -900)]


def _opened(y: float, how: HeadNeckParameters) -> float:
    """Return how far (mm) the jaw drops at ``y`` when it turns about the condyles."""
    return how.mouth_open_mm * max(0.0, min(1.0, (-y - 20) / 86))
