"""A female or male pelvis.

Bones, muscles, bladder, rectum, bowel, and the targets of rectal and cervical cancer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from phantoms.anatomy.hips import bones, femoral_head, muscles, outline, sacrum
from phantoms.composed import Difference, Grown, Mirrored, Union
from phantoms.layers import Fill, Layer, both_sides, solid
from phantoms.sections import Loft
from phantoms.shapes import Ellipsoid, Point, Shape, Tube
from phantoms.trunk import PelvisParameters


@dataclass(frozen=True, kw_only=True)
class _Filling:
    """How full the organs are, and how they lie, drawn from the patient's seed."""

    bladder: float
    bladder_x: float
    rectum: float
    gas: bool
    uterus_tilt_mm: float
    uterus_size: float
    bowel_hu: float
    target_up_mm: float

    @classmethod
    def of(cls, how: PelvisParameters) -> "_Filling":
        if how.seed == 0:
            return cls(
                bladder=1.0, bladder_x=0.0, rectum=1.0, gas=False, uterus_tilt_mm=0.0, uterus_size=1.0,
                bowel_hu=30.0, target_up_mm=0.0,
            )  # fmt: skip
        rng = np.random.default_rng([how.seed, 5])
        return cls(
            bladder=float(rng.uniform(0.65, 1.35)),
            bladder_x=float(rng.uniform(-7, 7)),
            rectum=float(rng.uniform(0.75, 1.3)),
            gas=bool(rng.random() < 0.5),
            uterus_tilt_mm=float(rng.uniform(-18, 18)),
            uterus_size=float(rng.uniform(0.8, 1.2)),
            bowel_hu=float(rng.choice([25.0, 35.0, 180.0])),
            target_up_mm=float(rng.uniform(-12, 18)),
        )


def structures(how: PelvisParameters) -> Mapping[str, Shape]:
    """Return the exact shapes, by code."""
    return {
        "CTV": cervical_ctv(how) if how.applicator else rectal_ctv(how),
        "Bladder": bladder(how),
        "Femur_Head_L": femoral_head(),
        "Femur_Head_R": Mirrored(of=femoral_head()),
        "Bowel_Small": small_bowel(how),
    }


def pelvis(how: PelvisParameters) -> list[Layer]:
    """Return every layer, in the order in which they are painted."""
    return [
        *outline(how),
        *muscles(how),
        *_mesorectum(how),
        *_vessels(how),
        *_bowel(how),
        *_rectum(how),
        *(_female(how) if how.sex == "F" else _male()),
        Layer(shape=bladder(how), fills=(Fill(hu=34), Fill(hu=6, depth_mm=3.0, texture_hu=3))),
        *bones(how),
        *(_applicator(how) if how.applicator else []),
    ]


def bladder(how: PelvisParameters) -> Shape:
    """Return the bladder: behind the pubis, growing upwards as it fills."""
    fill = _Filling.of(how)
    g = fill.bladder
    return Ellipsoid(centre=(fill.bladder_x, -42, 4 + 22 * g), semi=(36 * g, 27 * g, 27 * g), exponent=2.2)


def rectal_ctv(how: PelvisParameters) -> Shape:
    """Return the rectal CTV: mesorectum, presacral and internal iliac spaces, without bones and bladder."""
    up = _Filling.of(how).target_up_mm
    space = Loft(
        z=(-34.0, -10.0, 20.0, 50.0, 80.0, 100.0 + up),
        centre_x=(0,) * 6, centre_y=(54, 58, 60, 58, 52, 46),
        half_width=(24, 38, 50, 58, 58, 52), front=(24, 34, 42, 44, 38, 30), back=(22, 26, 30, 32, 34, 34), exponent=2.4,
    )  # fmt: skip
    return Difference(of=space, without=(Grown(of=sacrum(), mm=1.0), Grown(of=bladder(how), mm=1.0)))


def cervical_ctv(how: PelvisParameters) -> Shape:
    """Return the cervical CTV: cervix, lower part of uterus, upper part of vagina, and the adjacent parametria."""
    g = _Filling.of(how).uterus_size
    cervix = Ellipsoid(centre=(0, 10, 10), semi=(24 * g, 19 * g, 22 * g))
    side = Ellipsoid(centre=(0, 12, 12), semi=(33 * g, 11 * g, 12 * g))
    above, below = (
        _uterus(how, 0.5),
        Tube(points=((0, 12, -24), (0, 11, 0)), radii=(14 * g, 16 * g), stretch=(1.2, 0.9, 1)),
    )
    return Difference(
        of=Union(parts=(cervix, side, above, below), blend_mm=8.0), without=(bladder(how), _rectum_shape(how))
    )


def small_bowel(how: PelvisParameters) -> Shape:
    """Return the small bowel: loops above the bladder, as a chain of bends."""
    rng = np.random.default_rng([how.seed, 8])
    at = np.array([45.0, -35.0, 92.0])
    points: list[Point] = []
    for i in range(20):
        points.append((float(at[0]), float(at[1]), float(at[2])))
        way = np.array([(-1.0) ** (i // 3) * rng.uniform(18, 34), rng.uniform(-20, 20), rng.uniform(-4, 14)])
        at = np.clip(at + way, (-82, -78, 78), (82, 5, 190))
    radii = tuple(float(r) for r in rng.uniform(9.5, 13.5, len(points)))
    return Difference(of=Tube(points=tuple(points), radii=radii), without=(Grown(of=bladder(how), mm=1.0),))


def _bowel(how: PelvisParameters) -> list[Layer]:
    fill = _Filling.of(how)
    rng = np.random.default_rng([how.seed, 9])
    loops = small_bowel(how)
    pockets = [
        Ellipsoid(
            centre=(float(rng.uniform(-60, 60)), float(rng.uniform(-75, -40)), float(rng.uniform(95, 170))),
            semi=(9, 6, 9),
        )
        for _ in range(4)
    ]
    gas = Difference(of=Union(parts=tuple(pockets)), within=(Grown(of=loops, mm=-3.0),))
    sigmoid = Tube(points=((0, 58, 95), (30, 30, 105), (62, 20, 130), (85, 30, 200)), radii=(14, 13, 13, 14))
    contents = Fill(hu=fill.bowel_hu, depth_mm=2.5, texture_hu=25)
    return [
        Layer(shape=sigmoid, fills=(Fill(hu=42), Fill(hu=-20, depth_mm=3.0, texture_hu=120))),
        Layer(shape=loops, fills=(Fill(hu=44), contents)),
        solid(gas, -850),
    ]


def _rectum_shape(how: PelvisParameters) -> Shape:
    g = _Filling.of(how).rectum
    return Tube(
        points=((0, 58, 95), (3, 70, 65), (0, 72, 35), (0, 58, 8), (0, 50, -20), (0, 52, -58)),
        radii=(14 * g, 15 * g, 17 * g, 18 * g, 15 * g, 11),
    )


def _rectum(how: PelvisParameters) -> list[Layer]:
    fill = _Filling.of(how)
    gas = Ellipsoid(centre=(0, 56, 22), semi=(9 * fill.rectum, 8 * fill.rectum, 26))
    layers = [Layer(shape=_rectum_shape(how), fills=(Fill(hu=44), Fill(hu=8, depth_mm=4.0, texture_hu=90)))]
    return [*layers, *([solid(gas, -880)] if fill.gas else [])]


def _mesorectum(how: PelvisParameters) -> list[Layer]:
    fascia = Loft(
        z=(-30.0, 0.0, 40.0, 80.0, 100.0), centre_x=(0,) * 5, centre_y=(54, 60, 62, 58, 52),
        half_width=(24, 36, 44, 44, 38), front=(22, 28, 32, 30, 24), back=(20, 24, 28, 30, 28), exponent=2.2,
    )  # fmt: skip
    return [Layer(shape=fascia, fills=(Fill(hu=-45), Fill(hu=how.fat_hu + 8, depth_mm=1.6, texture_hu=22)))]


def _vessels(how: PelvisParameters) -> list[Layer]:
    common = Tube(
        points=((18, 20, 190), (34, 22, 130), (52, 8, 90), (64, -26, 30), (66, -44, -20)),
        radii=(7, 6.5, 6, 6, 5.5),
    )
    inner = Tube(points=((36, 22, 128), (48, 46, 95), (56, 56, 50), (58, 48, 15)), radii=(5.5, 5, 4, 3))
    return both_sides([solid(common, how.vessel_hu), solid(inner, how.vessel_hu)])


def _male() -> list[Layer]:
    prostate = Ellipsoid(centre=(0, 2, -24), semi=(23, 18, 20))
    vesicle = Tube(points=((4, 24, 0), (26, 30, 10)), radii=(6, 5))
    return [solid(prostate, 46, 12), *both_sides([solid(vesicle, 34, 10)])]


def _uterus(how: PelvisParameters, share: float = 1.0) -> Shape:
    """Return the uterus from the cervix up, ``share`` of its length."""
    fill = _Filling.of(how)
    g, top = fill.uterus_size, np.array([2 * fill.bladder_x, -8 + fill.uterus_tilt_mm, 68.0])
    root = np.array([0.0, 9.0, 20.0])
    tip = root + share * (top - root)
    return Tube(
        points=((0.0, 9.0, 12.0), (float(tip[0]), float(tip[1]), float(tip[2]))),
        radii=(16 * g, (16 + 9 * share) * g), stretch=(1.2, 0.9, 1.0),
    )  # fmt: skip


def _female(how: PelvisParameters) -> list[Layer]:
    g = _Filling.of(how).uterus_size
    cervix = Ellipsoid(centre=(0, 10, 10), semi=(22 * g, 17 * g, 20 * g))
    vagina = Tube(points=((0, 11, 0), (0, 14, -60)), radii=(14, 12), stretch=(1.3, 0.7, 1))
    ovary = Ellipsoid(centre=(44, 10, 60), semi=(13, 9, 11))
    contrast = 0.15 * (how.vessel_hu - 45)
    layers = [
        solid(vagina, 40, 12),
        *both_sides([solid(ovary, 28, 10)]),
        solid(_uterus(how), 52 + contrast, 14),
    ]
    if how.applicator:
        layers.append(solid(cervical_ctv(how), 48 + contrast, 16))
    return [*layers, solid(cervix, 58 + contrast, 14)]


def _applicator(how: PelvisParameters) -> list[Layer]:
    """Return a tandem in the uterus and two ovoids beside the cervix, of metal and plastic."""
    fill = _Filling.of(how)
    tip = (1.6 * fill.bladder_x, -4 + 0.8 * fill.uterus_tilt_mm, 58.0)
    tandem = Tube(points=((0, 20, -130), (0, 14, -20), (0, 10, 14), tip), radii=(2.6, 2.4, 2.2, 2.0))
    ovoid = Ellipsoid(centre=(15, 13, -9), semi=(9, 10, 12))
    stem = Tube(points=((8, 20, -130), (14, 15, -22)), radii=(2.4, 2.4))
    return [*both_sides([solid(ovoid, 320), solid(stem, 2600)]), solid(tandem, 3000)]
