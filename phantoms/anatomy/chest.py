"""Shoulders and the upper end of the chest: enough for the lower end of a head-and-neck scan."""

from phantoms.anatomy.spine import canal_y
from phantoms.composed import Grown
from phantoms.layers import Fill, Layer, both_sides, shell, solid
from phantoms.parameters import HeadNeckParameters
from phantoms.sections import Loft
from phantoms.shapes import Ellipsoid, Shape, Stripes, Tube


def chest(how: HeadNeckParameters) -> list[Layer]:
    """Return lungs with ribs, mediastinum, breast bone, collar bones, shoulder blades and arm bones."""
    dense = how.bone_density
    rise = 0.6 * how.shoulder_rise_mm
    lung = _lung(how)
    ribs, marrow = (Stripes(period_mm=23, slope_y=0.45, share=share) for share in (0.35, 0.75))
    wall = Layer(
        shape=Grown(of=lung, mm=9),
        fills=(
            Fill(hu=520 * dense, within=ribs),
            Fill(hu=230, depth_mm=1.8, within=marrow),
            Fill(hu=how.fat_hu + 60, depth_mm=6),
            Fill(hu=-820, depth_mm=9, texture_hu=60),
        ),
    )
    medial = Ellipsoid(centre=(0, -20, -250), semi=(36, 62, 95))
    heart_vessels = Tube(points=((-8, -38, -175), (6, -40, -230), (10, -45, -330)), radii=(14, 20, 36))
    breast = Tube(
        points=((0, -68, -160), (0, -84, -195), (0, -108, -330)), radii=(9, 9, 8), stretch=(2.2, 0.8, 1)
    )
    collar = Tube(
        points=((16, -66, -152), (55, -58, -140 + rise), (105, -18, -126 + rise), (152, 12, -122 + rise)),
        radii=(9, 6.5, 6, 7),
    )
    blade = Tube(
        points=((150, 42, -140 + rise), (112, 72, -165 + rise), (95, 84, -210), (90, 86, -270)),
        radii=(8, 6, 5, 4), stretch=(1.3, 0.8, 1.3),
    )  # fmt: skip
    acromion = Tube(points=((148, 50, -128 + rise), (168, 18, -118 + rise)), radii=(6, 6))
    head_of_arm = Ellipsoid(centre=(165, 24, -152 + rise), semi=(24, 24, 24))
    shaft = Tube(points=((172, 24, -165 + rise), (182, 26, -340)), radii=(14, 11))
    return [
        solid(medial, how.fat_hu + 60, 60),
        *both_sides([wall]),
        solid(heart_vessels, 0.6 * how.vessel_hu + 15, 8),
        shell(breast, 450 * dense, 2, 150),
        *both_sides([shell(collar, 900 * dense, 2.4, 250), shell(blade, 700 * dense, 2, 200)]),
        *both_sides([shell(acromion, 700 * dense, 2, 200)]),
        *both_sides([shell(shaft, 1000 * dense, 4, 0), shell(head_of_arm, 650 * dense, 2, 180)]),
    ]


def _lung(how: HeadNeckParameters) -> Shape:
    z = (-345.0, -290.0, -240.0, -200.0, -178.0, -160.0, -150.0)
    middle = [canal_y(how, v) - 26 for v in z]
    return Loft(
        z=z,
        centre_x=(80, 78, 72, 62, 54, 48, 45),
        centre_y=tuple(middle),
        half_width=(58, 58, 52, 42, 32, 20, 5),
        front=(95, 92, 76, 56, 38, 22, 5),
        back=(58, 56, 52, 44, 34, 20, 5),
        exponent=2.2,
    )
