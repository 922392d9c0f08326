"""The frame of a pelvis: skin, fat, muscles, hip bones, sacrum and thighs."""

from phantoms.composed import Difference, Grown
from phantoms.layers import Fill, Layer, both_sides, shell, solid
from phantoms.sections import Loft
from phantoms.shapes import Ellipsoid, Shape, Tube
from phantoms.trunk import PelvisParameters


def outline(how: PelvisParameters) -> list[Layer]:
    """Return skin, fat and the muscles under it, with a fatty core."""
    extra = 0.8 * (how.fat_mm - 22.0)
    wide = 6.0 if how.sex == "F" else 0.0
    skin = Grown(
        of=Loft(
            z=(-220, -120, -60, 0, 60, 120, 180, 260),
            centre_x=(0,) * 8, centre_y=(8,) * 8,
            half_width=(168, 176, 184, 186 + wide, 178 + wide, 168, 160, 158),
            front=(92, 98, 104, 110, 114, 116, 116, 116), back=(98, 112, 120, 122, 118, 110, 104, 104), exponent=2.5,
        ),
        mm=extra,
    )  # fmt: skip
    ring = 2.0 + how.fat_mm
    fills = (
        Fill(hu=5),
        Fill(hu=how.fat_hu, depth_mm=1.6, texture_hu=15),
        Fill(hu=how.muscle_hu, depth_mm=ring, texture_hu=22),
        Fill(hu=how.fat_hu + 10, depth_mm=ring + 14, texture_hu=25),
    )
    return [Layer(shape=skin, fills=fills)]


def femoral_head() -> Shape:
    """Return the left femoral head, with the beginning of the neck."""
    return Ellipsoid(centre=(88, 0, 0), semi=(24, 24, 24))


def sacrum() -> Shape:
    """Return sacrum and coccyx."""
    return Tube(
        points=((0, 62, 118), (0, 92, 80), (0, 104, 40), (0, 98, 8), (0, 84, -18)),
        radii=(26, 22, 16, 11, 6),
        stretch=(1.7, 0.75, 1),
    )


def muscles(how: PelvisParameters) -> list[Layer]:
    """Return buttocks, hip flexors, the muscles of the pelvic wall and floor, and of the thighs."""
    m = how.muscle_hu
    buttock = Ellipsoid(centre=(82, 82, 18), semi=(62, 34, 88))
    flexor = Tube(
        points=((44, 26, 200), (58, 12, 120), (78, -26, 40), (92, -36, -20)), radii=(22, 22, 19, 14)
    )
    wall = Tube(points=((62, 22, 40), (58, 26, 0), (54, 22, -35)), radii=(8, 9, 8), stretch=(0.8, 2.6, 1))
    pear = Tube(points=((24, 88, 70), (66, 66, 52), (106, 44, 30)), radii=(10, 11, 8))
    floor = Tube(points=((10, 58, -40), (34, 40, -30), (48, 18, -22)), radii=(5, 5, 5), stretch=(1, 2.2, 1))
    thigh = Tube(points=((92, -40, -20), (96, -30, -230)), radii=(34, 44))
    inner = Tube(points=((52, 0, -60), (60, 10, -230)), radii=(26, 38))
    return both_sides([solid(shape, m, 18) for shape in (buttock, flexor, wall, pear, floor, thigh, inner)])


def bones(how: PelvisParameters) -> list[Layer]:
    """Return femora, hip bones, sacrum and the lowest vertebrae."""
    dense = how.bone_density
    hard, marrow = 850 * dense, 240 * dense
    head = femoral_head()
    neck = Tube(points=((88, 0, 0), (112, 6, -18), (128, 8, -34)), radii=(16, 14, 18))
    shaft = Tube(points=((128, 8, -34), (132, 4, -230)), radii=(17, 14))
    cup = Difference(
        of=Ellipsoid(centre=(84, 2, 4), semi=(34, 34, 34)),
        without=(Grown(of=head, mm=2.5), Ellipsoid(centre=(126, 4, -16), semi=(32, 44, 34))),
    )
    wing = Tube(points=((84, 6, 30), (96, 26, 75), (116, 16, 125)), radii=(12, 9, 8), stretch=(0.7, 3.6, 1))
    back = Tube(
        points=((84, 20, 36), (60, 62, 70), (46, 78, 100)), radii=(12, 11, 10), stretch=(0.8, 1.2, 1.2)
    )
    ischium = Tube(points=((76, 26, -14), (64, 44, -58)), radii=(13, 14))
    pubis = Tube(points=((70, -24, 2), (34, -52, -2), (8, -58, -22)), radii=(11, 9, 11))
    ramus = Tube(points=((10, -52, -36), (34, -14, -56), (60, 34, -62)), radii=(8, 7, 8))
    vertebrae = [Ellipsoid(centre=(0, 36, z), semi=(25, 17, 13), exponent=4.0) for z in (140.0, 172.0, 204.0)]
    arches = [Ellipsoid(centre=(0, 70, z - 4), semi=(26, 16, 11)) for z in (140.0, 172.0, 204.0)]
    sides = (cup, wing, back, ischium, pubis, ramus, neck, shaft)
    return [
        shell(sacrum(), hard * 0.8, 2.0, marrow, 60),
        *[shell(shape, hard * 0.8, 1.8, marrow, 40) for shape in (*vertebrae, *arches)],
        *both_sides([shell(shape, hard, 2.2, marrow, 60) for shape in sides]),
        *both_sides([shell(head, hard, 2.0, marrow + 90, 40)]),
    ]
