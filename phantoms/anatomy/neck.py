"""Neck muscles, vessels, airway, larynx, thyroid and esophagus."""

import numpy as np

from phantoms.anatomy.spine import BOTTOM_MM, canal_y, spine_front_y
from phantoms.composed import Difference, pair
from phantoms.layers import Layer, both_sides, solid
from phantoms.parameters import HeadNeckParameters
from phantoms.sections import Loft, Ribbon
from phantoms.shapes import Ellipsoid, Shape, Tube


def larynx(how: HeadNeckParameters) -> Shape:
    """Return the larynx as it is contoured: from the base of the epiglottis to the cricoid, airway included."""
    z, y = larynx_centre(how)
    g = how.larynx_size
    return Loft(
        z=tuple(z + g * v for v in (-17, -10, 0, 9, 17)),
        centre_x=(0.0,) * 5,
        centre_y=(y + 1, y, y, y + 1, y + 2),
        half_width=tuple(g * v for v in (12.5, 15, 16, 15.5, 13.5)),
        front=tuple(g * v for v in (13, 15.5, 16, 15, 12)),
        back=tuple(g * v for v in (13, 14, 14, 14, 13)),
        exponent=2.1,
    )


def esophagus(how: HeadNeckParameters) -> Shape:
    """Return the esophagus from the cricoid's lower edge down, between trachea and spine, leaning to the left."""
    top = larynx_centre(how)[0] - 18.0 * how.larynx_size
    z = tuple(float(v) for v in np.linspace(BOTTOM_MM, top, 14))
    g = how.esophagus_size
    lean = [how.esophagus_left_mm * float(np.clip((top - v) / 60, 0, 1)) for v in z]
    return Loft(
        z=z,
        centre_x=tuple(lean),
        centre_y=tuple(spine_front_y(how, v) - 7.5 for v in z),
        half_width=tuple(g * 8.8 for _ in z),
        front=tuple(g * 5.8 for _ in z),
        back=tuple(g * 5.8 for _ in z),
    )


def neck(how: HeadNeckParameters) -> list[Layer]:
    """Return the layers painted after the spine: muscles, then vessels and glands, then air."""
    return [*_muscles(how), *_vessels(how), *_visceral(how), *_airway(how)]


def _muscles(how: HeadNeckParameters) -> list[Layer]:
    m = how.muscle_hu

    def y(z: float, back: float) -> float:
        return canal_y(how, z) + back

    trapezius = Tube(
        points=((12, 58, -25), (20, y(-70, 56), -70), (40, y(-100, 50), -100), (75, y(-125, 42), -125)),
        radii=(6, 8, 10, 12), stretch=(2.4, 0.9, 1),
    )  # fmt: skip
    splenius = Tube(
        points=((24, 42, -5), (24, y(-50, 36), -50), (24, y(-100, 38), -100), (22, y(-150, 36), -150)),
        radii=(13, 13.5, 13, 12), stretch=(1.6, 0.85, 1),
    )  # fmt: skip
    deep = Tube(
        points=((12, 26, -8), (13, y(-60, 19), -60), (14, y(-120, 21), -120), (16, y(-330, 24), -330)),
        radii=(12, 12, 12, 14), stretch=(1.2, 1, 1),
    )  # fmt: skip
    suboccipital = Ellipsoid(centre=(22, 28, -22), semi=(18, 17, 18))
    levator = Tube(points=((36, 6, -20), (40, y(-70, 8), -70), (52, y(-115, 16), -115)), radii=(10, 12, 13))
    mastoid_muscle = Tube(
        points=((55, 14, -8), (54, -6, -50), (43, -32, -90), (24, -48, -138)),
        radii=(9, 12.5, 12, 8), stretch=(0.75, 1.3, 1),
    )  # fmt: skip
    scalene = Tube(
        points=((24, y(-60, -10), -60), (34, y(-100, -12), -100), (46, -14, -140)), radii=(10, 13, 12)
    )
    front = Tube(
        points=((10, spine_front_y(how, -22) - 3, -22), (10, spine_front_y(how, -130) - 1, -130)),
        radii=(7.0, 5.0), stretch=(1.3, 0.7, 1),
    )  # fmt: skip
    strap = Tube(
        points=((8, -54, -66), (13, -56, -90), (12, -54, -130)), radii=(6, 6, 6), stretch=(2, 0.8, 1)
    )
    digastric = Tube(points=((48, 4, -14), (32, -30, -48), (12, -92, -52)), radii=(6, 6, 9))
    stylohyoid = Tube(points=((40, -8, 0), (24, -30, -40)), radii=(4.5, 4.5))
    chest_wall = Tube(
        points=((40, -40, -165), (85, -62, -200), (95, -70, -330)), radii=(12, 15, 12), stretch=(2, 1, 1)
    )
    behind = (trapezius, splenius, deep, suboccipital, levator)
    return [
        *both_sides([solid(shape, m + 5, 22) for shape in behind]),
        *both_sides([solid(shape, m + 5, 18) for shape in (scalene, front, strap, digastric, stylohyoid)]),
        *both_sides([solid(mastoid_muscle, m + 8, 14), solid(chest_wall, m, 30)]),
    ]


def _vessels(how: HeadNeckParameters) -> list[Layer]:
    contrast = how.vessel_hu
    carotid = Tube(
        points=(
            (24, -12, 10),
            (27, -19, -40),
            (27, -27, -75),
            (24, -27, -120),
            (16, -24, -160),
            (8, -30, -185),
        ),
        radii=(3, 3.2, 4.2, 3.8, 4.5, 5),
    )
    jugular = Tube(
        points=((31, -6, 6), (35, -14, -40), (36, -24, -80), (32, -30, -125), (26, -36, -155)),
        radii=(4, 5.5, 6.5, 6.5, 7.5),
    )
    node = [
        Ellipsoid(centre=(40, -26, -44), semi=(4, 5, 8)),
        Ellipsoid(centre=(44, -14, -72), semi=(3.5, 4, 6)),
        Ellipsoid(centre=(22, -66, -54), semi=(4, 4, 5)),
    ]
    return [
        *both_sides([solid(shape, 45) for shape in node]),
        *both_sides([solid(jugular, contrast * 0.9), solid(carotid, contrast)]),
    ]


def _visceral(how: HeadNeckParameters) -> list[Layer]:
    z, y = larynx_centre(how)
    g = how.larynx_size
    thyroid = Tube(
        points=((16, y + 4, z - 12), (18, y + 7, z - 28), (15, y + 8, z - 44)),
        radii=(5, 8, 6),
        stretch=(0.8, 1.2, 1),
    )
    isthmus = Tube(points=((-12, y - 4, z - 32), (12, y - 4, z - 32)), radii=(4, 4), stretch=(1, 0.8, 1.6))
    wall = Tube(
        points=((0, -27, 20), (0, -33, -20), (0, -36, -50), (0, y + 6, z + 22), (0, y + 10, z - 10)),
        radii=(13, 15, 15, 13, 10), stretch=(1.25, 0.8, 1),
    )  # fmt: skip
    hyoid = Ribbon(
        points_xy=((0, y - 22), (8, y - 20), (16, y - 8), (20, y + 6)),
        half_thickness=(3.0, 2.8, 2.2, 1.8), lower=(z + 24,) * 4, upper=(z + 31,) * 4,
    )  # fmt: skip
    plate = Ribbon(
        points_xy=((0, y - 15 * g), (7 * g, y - 10 * g), (14 * g, y + 1), (16.5 * g, y + 9)),
        half_thickness=(1.8,) * 4, lower=(z - 6 * g,) * 4, upper=(z + 6 * g, z + 11 * g, z + 13 * g, z + 18 * g),
    )  # fmt: skip
    cricoid = Difference(
        of=Ellipsoid(centre=(0, y + 2, z - 13 * g), semi=(13 * g, 13 * g, 7), exponent=2.6),
        without=(Ellipsoid(centre=(0, y + 1, z - 13 * g), semi=(9.5 * g, 9.5 * g, 20)),),
    )
    gullet = esophagus(how)
    air = Loft(
        z=gullet.z, centre_x=gullet.centre_x, centre_y=gullet.centre_y,
        half_width=(3.2,) * 14, front=(1.8,) * 14, back=(1.8,) * 14,
    ) if isinstance(gullet, Loft) else gullet  # fmt: skip
    return [
        solid(wall, how.muscle_hu, 12),
        solid(larynx(how), 30, 25),
        *both_sides([solid(thyroid, 95 + 0.4 * how.vessel_hu, 10)]),
        solid(isthmus, 95 + 0.4 * how.vessel_hu),
        *both_sides([solid(hyoid, 600), solid(plate, how.cartilage_hu, 90)]),
        solid(cricoid, how.cartilage_hu + 30, 90),
        solid(gullet, 38, 8),
        *([solid(air, -500)] if how.esophagus_air else []),
    ]


def _airway(how: HeadNeckParameters) -> list[Layer]:
    z, y = larynx_centre(how)
    a = how.airway_size
    pharynx = Loft(
        z=(z + 14, z + 27, max(-48.0, z + 33), -30, -12, 6, 24, 34),
        centre_x=(0.0,) * 8,
        centre_y=(y + 2, y + 2, -36, -36, -36, -33, -34, -38),
        half_width=tuple(a * v for v in (9, 13, 13, 12, 9, 13, 12, 7)),
        front=tuple(a * v for v in (7, 8, 7, 6.5, 4, 8, 10, 6)),
        back=tuple(a * v for v in (6, 6, 6, 6, 4, 6, 5, 4)),
    )
    vestibule = Loft(
        z=(z - 18, z - 8, z - 1, z + 1, z + 8, z + 16),
        centre_x=(0.0,) * 6,
        centre_y=(y + 1, y + 1, y - 1, y - 1, y - 1, y + 1),
        half_width=tuple(a * v for v in (8.5, 8, 3.2, 3.2, 7, 9)),
        front=tuple(a * v for v in (8.5, 9, 10, 10, 9, 8)),
        back=tuple(a * v for v in (8, 8, 7, 7, 6, 6)),
    )
    top = z - 16
    heights = tuple(float(v) for v in np.linspace(BOTTOM_MM, top, 12))
    wind = Loft(
        z=heights,
        centre_x=(0.0,) * 12,
        centre_y=tuple(
            min(y + 1.0 + 0.5 * (top - v), spine_front_y(how, v) - 22.5)
            if v > -330
            else spine_front_y(how, v) - 22.5
            for v in heights
        ),
        half_width=(8.8 * a,) * 12,
        front=(8.8 * a,) * 12,
        back=(8.0 * a,) * 12,
    )
    pyriform = Ellipsoid(centre=(12, y + 8, z + 4), semi=(3, 3.5, 9))
    wall = Loft(
        z=wind.z, centre_x=wind.centre_x, centre_y=wind.centre_y,
        half_width=(10.6 * a,) * 12, front=(10.6 * a,) * 12, back=(9.2 * a,) * 12,
    )  # fmt: skip
    return [
        solid(wall, 70),
        *[solid(shape, -950) for shape in (pharynx, vestibule, wind)],
        *[solid(shape, -900) for shape in pair(pyriform)],
    ]


def larynx_centre(how: HeadNeckParameters) -> tuple[float, float]:
    """Return the height and depth (z, y), in mm, of the middle of the larynx."""
    z = -86.0 + how.larynx_shift_mm
    return z, spine_front_y(how, z) - 18.0
