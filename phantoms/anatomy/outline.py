"""The skin: head, face, neck and shoulders, and the layers of fat and muscle under it."""

from phantoms.anatomy.skull import brain_cavity
from phantoms.composed import Grown, Union
from phantoms.layers import Fill, Layer, both_sides, solid
from phantoms.parameters import HeadNeckParameters
from phantoms.sections import Loft
from phantoms.shapes import Ellipsoid, Shape, Slab, Tube


def skin(how: HeadNeckParameters) -> Shape:
    """Return the whole patient as one shape."""
    extra = 0.6 * (how.fat_mm - 7.0)
    head = Union(parts=(Grown(of=brain_cavity(), mm=11.5 + 0.15 * extra), _face(how)), blend_mm=18.0)
    trunk = Grown(of=_neck_and_shoulders(how), mm=extra)
    nose = Ellipsoid(centre=(0, -117, 20), semi=(14, 14, 17), turn_x_deg=12)
    return Union(parts=(Union(parts=(head, trunk), blend_mm=24.0), nose), blend_mm=6.0)


def outline(how: HeadNeckParameters) -> list[Layer]:
    """Return the whole body as skin, fat and muscle, with a fatty core for the neck's own muscles, painted later."""
    ring = 2.5 + 0.9 * how.fat_mm
    neck_only, trunk_only = Slab(low_z=-130, high_z=5), Slab(high_z=-130)
    fills = (
        Fill(hu=5),
        Fill(hu=how.fat_hu, depth_mm=1.4, texture_hu=15),
        Fill(hu=how.muscle_hu, depth_mm=ring, texture_hu=40),
        Fill(hu=how.fat_hu + 45, depth_mm=ring, texture_hu=70, within=neck_only),
        Fill(hu=how.fat_hu, depth_mm=ring, texture_hu=15, within=trunk_only),
        Fill(hu=how.muscle_hu, depth_mm=ring + 0.9 * how.fat_mm, texture_hu=60, within=trunk_only),
    )
    return [Layer(shape=skin(how), fills=fills), *_ears(), *_trunk_fat(how)]


def _face(how: HeadNeckParameters) -> Shape:
    chin = how.chin_mm
    return Loft(
        z=(-64, -58, -48, -28, 0, 20, 40, 58),
        centre_x=(0,) * 8,
        centre_y=(-45,) * 8,
        half_width=(16, 36, 56, 70, 77, 76, 71, 64),
        front=(52 + chin, 70 + chin, 77 + chin, 77 + chin / 2, 73, 69, 60, 50),
        back=(30, 40, 50, 60, 60, 60, 60, 60),
        exponent=2.1,
    )


def _neck_and_shoulders(how: HeadNeckParameters) -> Shape:
    z = [20, -20, -62, -74, -86, -98, -112, -128, -145, -165, -200, -250, -330]
    width = [58, 62, 62, 61, 62, 68, 98, 150, 185, 200, 206, 208, 208]
    front = [15, 50, 78, 78, 76, 73, 70, 68, 72, 84, 102, 125, 145]
    back = [50, 56, 62, 66, 71, 76, 82, 88, 96, 104, 114, 122, 126]
    rise = how.shoulder_rise_mm
    heights = [a + rise * min(1.0, max(0.0, (-80 - a) / 60)) for a in z]
    order = slice(None, None, -1)
    girth = how.neck_girth
    return Loft(
        z=tuple(float(a) for a in heights[order]),
        centre_x=(0.0,) * len(z),
        centre_y=(0.0,) * len(z),
        half_width=tuple(girth * a for a in width[order]),
        front=tuple(girth * a for a in front[order]),
        back=tuple(girth * a for a in back[order]),
        exponent=2.5,
    )


def _ears() -> list[Layer]:
    ear = Ellipsoid(centre=(74, 2, 16), semi=(7, 15, 27), turn_z_deg=25)
    return both_sides([solid(ear, 5)])


def _trunk_fat(how: HeadNeckParameters) -> list[Layer]:
    """Return the fat of the neck: in the posterior triangles, the axillae, and under the chin."""
    hu = how.fat_hu + 8
    triangle = Tube(
        points=((46, 22, -45), (52, 26, -90), (76, 22, -125)),
        radii=(7, 13, 17),
        stretch=(0.8, 1.3, 1),
    )
    axilla = Tube(points=((100, -20, -150), (120, 0, -230), (130, 10, -330)), radii=(14, 22, 20))
    behind_clavicle = Ellipsoid(centre=(58, -12, -138), semi=(30, 16, 13))
    under_chin = Ellipsoid(centre=(0, -84, -62), semi=(22, 16, 6))
    posterior = Ellipsoid(centre=(0, 74, -60), semi=(10, 8, 40))
    return [
        *both_sides([solid(shape, hu, 25) for shape in (triangle, axilla, behind_clavicle)]),
        solid(under_chin, hu, 25),
        solid(posterior, hu + 30, 25),
    ]
