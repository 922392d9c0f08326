"""The 42 organs of the head and neck that SOARS contours, in its three strata, as shapes of the straight patient."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from phantoms.anatomy.jaw import mandible, parotid
from phantoms.anatomy.neck import esophagus, larynx, larynx_centre
from phantoms.anatomy.skull import brain_cavity, brainstem
from phantoms.anatomy.spine import canal_y, cord, spine_front_y
from phantoms.composed import Difference, Grown, Mirrored, Union
from phantoms.layers import Layer, shell, solid
from phantoms.parameters import HeadNeckParameters
from phantoms.shapes import Ellipsoid, Shape, Slab, Tube

ANCHORS = (
    "Brainstem", "Cerebellum", "Eye_L", "Eye_R", "Mandible_L", "Mandible_R", "SpinalCord", "Joint_TM_L", "Joint_TM_R",
)  # fmt: skip
MID_LEVEL = (
    "BrachialPlex_L", "BrachialPlex_R", "BasalGanglia_L", "BasalGanglia_R", "Musc_Constrict_I", "Musc_Constrict_M",
    "Musc_Constrict_S", "Epiglottis", "Esophagus", "Larynx_GSL", "Cavity_Oral", "Parotid_L", "Parotid_R",
    "Glnd_Submand_L", "Glnd_Submand_R", "Lobe_Temporal_L", "Lobe_Temporal_R", "Glnd_Thyroid_L", "Glnd_Thyroid_R",
)  # fmt: skip
SMALL_AND_HARD = (
    "Cochlea_L", "Cochlea_R", "Hypothalmus", "Ear_Internal_L", "Ear_Internal_R", "Glnd_Lacrimal_L", "Glnd_Lacrimal_R",
    "Lens_L", "Lens_R", "OpticNrv_L", "OpticNrv_R", "OpticChiasm", "Pineal", "Pituitary",
)  # fmt: skip
ORGANS = (*ANCHORS, *MID_LEVEL, *SMALL_AND_HARD)


@dataclass(frozen=True, kw_only=True)
class _Organ:
    """A shape (the left one of a pair), and its HU where no other layer paints it."""

    shape: Shape
    hu: float | None = None
    texture_hu: float = 8.0
    paired: bool = False
    bony: bool = False


def strata(how: HeadNeckParameters) -> Mapping[str, Shape]:
    """Return the exact shapes of all 42 organs, by code."""
    return {code: shape for code, (shape, _) in _sides(how).items()}


def strata_layers(how: HeadNeckParameters) -> list[Layer]:
    """Return layers for the organs' tissue that the other layers do not paint."""
    layers = []
    for shape, organ in _sides(how).values():
        if organ.hu is not None:
            paint = (
                shell(shape, organ.hu, 2.0, 0.45 * organ.hu)
                if organ.bony
                else solid(shape, organ.hu, organ.texture_hu)
            )
            layers.append(paint)
    return layers


def _sides(how: HeadNeckParameters) -> dict[str, tuple[Shape, _Organ]]:
    rng = np.random.default_rng([how.seed, 4])
    found: dict[str, tuple[Shape, _Organ]] = {}
    for code, organ in {**_brain(how), **_head(how), **_neck(how)}.items():
        if organ.paired:
            found[f"{code}_L"] = (_varied(organ.shape, how, rng), organ)
            found[f"{code}_R"] = (Mirrored(of=_varied(organ.shape, how, rng)), organ)
        else:
            found[code] = (_varied(organ.shape, how, rng), organ)
    found["Parotid_R"] = (parotid(how, "R"), found["Parotid_L"][1])
    return {code: found[code] for code in ORGANS}


def _varied(shape: Shape, how: HeadNeckParameters, rng: np.random.Generator) -> Shape:
    """Vary size and position of an ellipsoid a little; other shapes vary with the patient's parameters."""
    draw = np.clip(rng.standard_normal(7), -2, 2)
    if how.seed == 0 or not isinstance(shape, Ellipsoid):
        return shape
    size = 1 + 0.06 * draw[0]
    a, b, c = (float(s * size * (1 + 0.03 * d)) for s, d in zip(shape.semi, draw[1:4], strict=True))
    x, y, z = (float(p + 0.5 * d) for p, d in zip(shape.centre, draw[4:7], strict=True))
    return replace(shape, centre=(x, y, z), semi=(a, b, c))


def _brain(how: HeadNeckParameters) -> dict[str, _Organ]:
    grey = how.brain_hu
    inside = Grown(of=brain_cavity(), mm=-3.0)
    stem = Grown(of=brainstem(how), mm=3.0)
    cerebellum = Difference(
        of=Ellipsoid(centre=(0, 38, 20), semi=(46, 30, 25)), within=(inside,), without=(stem,)
    )
    temporal = Difference(
        of=Ellipsoid(centre=(45, -16, 44), semi=(19, 40, 18)),
        within=(inside,),
        without=(Grown(of=stem, mm=6.0), Grown(of=_joint(), mm=4.0), Grown(of=mandible(how), mm=4.0)),
    )
    ganglia = Union(
        parts=(
            Ellipsoid(centre=(24, -14, 70), semi=(7, 19, 10), turn_z_deg=12),
            Ellipsoid(centre=(13, -26, 78), semi=(4, 10, 8)),
        ),
        blend_mm=3.0,
    )
    return {
        "Brainstem": _Organ(shape=brainstem(how)),
        "Cerebellum": _Organ(shape=cerebellum, hu=grey + 9),
        "Lobe_Temporal": _Organ(shape=temporal, hu=grey + 3, paired=True),
        "BasalGanglia": _Organ(shape=ganglia, hu=grey + 13, paired=True),
        "Hypothalmus": _Organ(shape=Ellipsoid(centre=(0, -17, 54), semi=(6, 6, 5)), hu=grey + 8),
        "OpticChiasm": _Organ(shape=Ellipsoid(centre=(0, -30, 48), semi=(8, 4.5, 2.8)), hu=44),
        "Pituitary": _Organ(shape=Ellipsoid(centre=(0, -37, 40), semi=(6, 5, 4)), hu=68),
        "Pineal": _Organ(shape=Ellipsoid(centre=(0, 12, 63), semi=(3.8, 4.2, 3.6)), hu=130),
    }


def _head(how: HeadNeckParameters) -> dict[str, _Organ]:
    bone = 900 * how.bone_density
    left = Ellipsoid(centre=(5000, 0, 0), semi=(5000, 20000, 20000))  # a half space, to 0.05 mm
    jaw = Difference(of=mandible(how), within=(left,))
    mouth = Union(
        parts=(
            Ellipsoid(centre=(0, -68, -14), semi=(25, 34, 20)),
            Ellipsoid(centre=(0, -72, -32), semi=(23, 26, 13)),
        ),
        blend_mm=5.0,
    )
    nerve = Tube(points=((30, -70, 46), (22, -56, 45.5), (11, -37, 47)), radii=(2.6, 2.6, 2.4))
    return {
        "Eye": _Organ(
            shape=Ellipsoid(centre=(32, -82, 46), semi=(12, 12, 12)), hu=14, texture_hu=3, paired=True
        ),
        "Lens": _Organ(
            shape=Ellipsoid(centre=(32, -91, 46), semi=(4.5, 2.2, 4.5)), hu=82, texture_hu=3, paired=True
        ),
        "OpticNrv": _Organ(shape=nerve, hu=34, texture_hu=4, paired=True),
        "Glnd_Lacrimal": _Organ(
            shape=Ellipsoid(centre=(42, -80, 55), semi=(4.2, 7.5, 6)), hu=48, paired=True
        ),
        "Mandible": _Organ(shape=jaw, paired=True),
        "Joint_TM": _Organ(shape=_joint(), hu=bone, paired=True, bony=True),
        "Cochlea": _Organ(shape=Ellipsoid(centre=(25, -10, 24), semi=(3.6, 3.6, 3.2)), hu=260, paired=True),
        "Ear_Internal": _Organ(shape=Ellipsoid(centre=(35, -1, 25), semi=(5.5, 6, 5)), hu=330, paired=True),
        "Cavity_Oral": _Organ(shape=mouth),
        "Parotid": _Organ(shape=parotid(how, "L"), paired=True),
        "Glnd_Submand": _Organ(
            shape=Ellipsoid(centre=(29, -50, -46), semi=(8.5, 14, 12)),
            hu=how.parotid_hu * 0.6 + 48,
            paired=True,
        ),
    }


def _neck(how: HeadNeckParameters) -> dict[str, _Organ]:
    z, y = larynx_centre(how)
    muscle = how.muscle_hu

    def wall(low: float, high: float) -> Shape:
        points = tuple((0.0, spine_front_y(how, v) - 4.5, v) for v in np.linspace(high, low, 5))
        return Tube(points=points, radii=(4.0,) * 5, stretch=(3.6, 0.9, 1.0))

    plexus = Tube(
        points=(
            (15, canal_y(how, -75) - 6, -75), (28, canal_y(how, -105) - 13, -105), (50, -4, -138), (82, -6, -158),
        ),
        radii=(4, 5, 6, 6),
    )  # fmt: skip
    thyroid = Tube(
        points=((16, y + 4, z - 12), (18, y + 7, z - 28), (15, y + 8, z - 44)),
        radii=(5, 8.5, 6),
        stretch=(0.9, 1.2, 1),
    )
    return {
        "SpinalCord": _Organ(shape=cord(how)),
        "Esophagus": _Organ(shape=esophagus(how)),
        "Larynx_GSL": _Organ(shape=Difference(of=larynx(how), within=(Slab(low_z=z - 10, high_z=1e3),))),
        "Epiglottis": _Organ(
            shape=Ellipsoid(centre=(0, y - 3, z + 22), semi=(10, 3, 9), turn_x_deg=-20), hu=72
        ),
        "Musc_Constrict_S": _Organ(shape=wall(-34, -2), hu=muscle + 8),
        "Musc_Constrict_M": _Organ(shape=wall(-58, -35), hu=muscle + 8),
        "Musc_Constrict_I": _Organ(shape=wall(-84, -59), hu=muscle + 8),
        "Glnd_Thyroid": _Organ(shape=thyroid, hu=how.vessel_hu * 0.4 + 95, paired=True),
        "BrachialPlex": _Organ(shape=plexus, hu=muscle + 4, paired=True),
    }


def _joint() -> Ellipsoid:
    """Return the left temporomandibular joint, round the condyle."""
    return Ellipsoid(centre=(54, -19, 27), semi=(10.5, 6.5, 7))
