"""The skull, its contents, and the bones of the upper face."""

from phantoms.composed import Difference, Grown, Union, pair
from phantoms.layers import Fill, Layer, both_sides, shell, solid
from phantoms.parameters import HeadNeckParameters
from phantoms.sections import Loft
from phantoms.shapes import Above, Ellipsoid, Shape, Tube

CORTICAL_HU = 1050.0


def brain_cavity() -> Shape:
    """Return the inside of the skull: cerebrum above the sloping base, temporal poles, posterior fossa."""
    cerebrum = Ellipsoid(centre=(0, -6, 58), semi=(68.5, 85.5, 63), exponent=2.0)
    over_base = Difference(of=cerebrum, within=(Above(height=24, slope_y=-0.32),))
    temporal = Ellipsoid(centre=(40, -22, 40), semi=(24, 32, 24))
    fossa = Ellipsoid(centre=(0, 32, 28), semi=(53, 44, 29))
    return Union(parts=(over_base, *pair(temporal), fossa), blend_mm=8.0)


def brainstem(how: HeadNeckParameters) -> Shape:
    """Return medulla, pons and midbrain, from the foramen magnum (z = 0) up."""
    grow = how.brainstem_size
    return Loft(
        z=(0, 10, 18, 25, 33, 40, 48, 55, 61),
        centre_x=(0,) * 9,
        centre_y=(0, -1, -2.5, -4, -5, -5, -4.5, -4, -4),
        half_width=tuple(grow * a for a in (7, 8.5, 11, 15, 17, 16, 14, 14, 11)),
        front=tuple(grow * a for a in (6.5, 7.5, 9.5, 12.5, 13.5, 12.5, 11, 10, 8)),
        back=tuple(grow * a for a in (6.5, 7.5, 9, 10.5, 11.5, 12, 12.5, 12.5, 11)),
    )


def skull(how: HeadNeckParameters) -> list[Layer]:
    """Return vault and base with marrow, mastoids and petrous bones, and the brain with its fluid."""
    dense = CORTICAL_HU * how.bone_density
    vault = Layer(
        shape=Grown(of=brain_cavity(), mm=6.2),
        fills=(
            Fill(hu=dense),
            Fill(hu=420 * how.bone_density, depth_mm=2.2, texture_hu=80),
            Fill(hu=dense, depth_mm=4.2),
            Fill(hu=28, depth_mm=6.2),
            Fill(hu=how.brain_hu, depth_mm=8.7, texture_hu=6),
        ),
    )
    fossa_floor = Ellipsoid(centre=(0, 44, -5), semi=(34, 26, 5))
    mastoid = Ellipsoid(centre=(55, 14, 5), semi=(12, 15, 20))
    cells = [
        Ellipsoid(centre=(57 + dx, 13 + dy, 6 + dz), semi=(3, 3, 4))
        for dx, dy, dz in ((0, 0, 0), (-5, 5, 6), (2, -6, 8), (-1, 5, -8), (-6, -5, 9))
    ]
    petrous = Tube(points=((52, 6, 20), (32, -8, 24), (14, -18, 26)), radii=(11, 9, 6))
    canal = Tube(points=((76, -2, 18), (44, -4, 20)), radii=(3.2, 3.2))
    sphenoid = Ellipsoid(centre=(0, -42, 34), semi=(24, 15, 13), exponent=2.6)
    clivus = Tube(points=((0, -15, 4), (0, -22, 16), (0, -31, 34)), radii=(5, 6, 7), stretch=(1.8, 0.8, 1))
    condyle = Ellipsoid(centre=(17, -3, -2), semi=(6, 10, 5))
    return [
        vault,
        shell(fossa_floor, dense, 2.5, 450),
        *both_sides([shell(mastoid, dense * 0.75, 2.2, 150, 350), shell(condyle, dense * 0.8, 2, 400)]),
        shell(sphenoid, dense * 0.7, 2, 300),
        solid(clivus, 600 * how.bone_density, 60),
        *brain(how),
        *both_sides([solid(petrous, dense * 0.62, 260), *[solid(cell, -650) for cell in cells]]),
        *both_sides([solid(canal, -950)]),
        solid(clivus, 600 * how.bone_density, 60),
    ]


def brain(how: HeadNeckParameters) -> list[Layer]:
    """Return the brain with a rim of fluid, ventricles, cisterns round the brainstem, cerebellum, falx."""
    grey = how.brain_hu
    fluid = 9.0
    cistern = Grown(of=brainstem(how), mm=3.5)
    fourth = Ellipsoid(centre=(0, 12, 22), semi=(7, 4.5, 11))
    suprasellar = Ellipsoid(centre=(0, -26, 47), semi=(13, 9, 6))
    magna = Ellipsoid(centre=(0, 20, 1), semi=(14, 9, 6))
    lateral = Tube(points=((9, -32, 74), (10, -5, 82), (22, 26, 74)), radii=(4, 4.5, 6))
    third = Ellipsoid(centre=(0, -8, 66), semi=(2.2, 14, 9))
    foramen = Loft(
        z=(-14, 0, 10), centre_x=(0,) * 3, centre_y=(3, 2, 2), half_width=(13, 14, 15),
        front=(12, 12, 12), back=(14, 16, 18),
    )  # fmt: skip
    falx = Ellipsoid(centre=(0, 8, 74), semi=(1.3, 68, 43))
    return [
        solid(foramen, fluid + 6),
        solid(falx, 45),
        *both_sides([solid(lateral, fluid)]),
        solid(third, fluid),
        solid(suprasellar, fluid),
        solid(magna, fluid),
        solid(cistern, fluid),
        solid(fourth, fluid),
        solid(brainstem(how), grey - 2, 4),
    ]


def upper_face(how: HeadNeckParameters) -> list[Layer]:
    """Return maxilla, sinuses, nose, palate, cheek bones, orbits."""
    dense = 850 * how.bone_density
    maxilla = Ellipsoid(centre=(0, -80, 20), semi=(41, 27, 18), exponent=2.6)
    sinus = Ellipsoid(centre=(25, -78, 22), semi=(13, 17, 14), exponent=2.4)
    nasal = Ellipsoid(centre=(0, -84, 28), semi=(13, 36, 19), exponent=2.6)
    vestibule = Ellipsoid(centre=(5, -118, 14), semi=(4.5, 10, 5))
    turbinate = Tube(points=((8, -100, 18), (8, -62, 19)), radii=(3.2, 3.2))
    septum = Ellipsoid(centre=(0, -84, 28), semi=(1.6, 36, 20))
    ethmoid = Ellipsoid(centre=(8, -74, 44), semi=(5.5, 20, 9), exponent=2.5)
    sphenoid_sinus = Ellipsoid(centre=(8, -44, 35), semi=(8, 10, 9))
    frontal = Ellipsoid(centre=(11, -91, 66), semi=(13, 4, 11))
    wall = Tube(points=((46, -84, 62), (48, -70, 48), (46, -78, 34)), radii=(4, 4, 4.5))
    brow = Tube(points=((8, -96, 60), (30, -96, 62), (47, -82, 54)), radii=(5, 4.5, 4))
    orbit = Ellipsoid(centre=(31, -72, 46), semi=(17, 25, 16))
    eye = Ellipsoid(centre=(32, -82, 46), semi=(12, 12, 12))
    lens = Ellipsoid(centre=(32, -92, 46), semi=(4.5, 2, 4.5))
    nerve = Tube(points=((30, -70, 46), (14, -44, 45)), radii=(2.4, 2.4))
    cheek = Tube(points=((40, -84, 30), (58, -66, 27), (66, -30, 24), (62, -12, 24)), radii=(6, 5, 3.2, 3.5))
    pterygoid = Tube(points=((16, -48, 32), (20, -50, 4)), radii=(4, 3))
    palate = Ellipsoid(centre=(0, -78, 7), semi=(19, 27, 2.2))
    return [
        shell(maxilla, dense * 0.65, 1.5, 60, 80),
        *both_sides([solid(wall, dense), solid(brow, dense), solid(cheek, dense * 0.9, 60)]),
        *both_sides([solid(orbit, how.fat_hu + 10), solid(pterygoid, dense * 0.7)]),
        *both_sides([solid(eye, 14), solid(lens, 75), solid(nerve, 30)]),
        *both_sides([shell(Grown(of=sinus, mm=2), dense * 0.8, 1.6, 20), solid(sinus, -960)]),
        shell(Grown(of=nasal, mm=1.6), dense * 0.6, 1.2, 30),
        solid(nasal, -900),
        *both_sides([solid(vestibule, -900), solid(turbinate, 40), solid(ethmoid, -700, 200)]),
        *both_sides([solid(sphenoid_sinus, -930), solid(frontal, -900)]),
        solid(septum, 120),
        solid(palate, dense * 0.8),
    ]
