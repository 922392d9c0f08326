"""Pelvis phantoms: with exactly known targets and organs of rectal and cervical cancer."""

from imaging.volumes.grid import Grid
from phantoms.anatomy.pelvis import pelvis, structures
from phantoms.phantom import Phantom
from phantoms.trunk import PelvisParameters, made, trunk_grid

STRUCTURES = ("CTV", "Bladder", "Femur_Head_L", "Femur_Head_R", "Bowel_Small")


def make_pelvis(how: PelvisParameters | None = None, grid: Grid | None = None) -> Phantom:
    """Return the patient of the parameters on a grid (axes +z, +y, +x).

    The origin lies midway between the femoral heads.
    """
    patient = how or PelvisParameters()
    return made(region_of(patient), patient, grid or trunk_grid(), pelvis(patient), structures(patient))


def region_of(how: PelvisParameters) -> str:
    """Return the name of the region, by sex, and by whether an applicator makes it a cervical brachytherapy."""
    if how.applicator:
        return "pelvis_cervix"
    return "pelvis_female" if how.sex == "F" else "pelvis_male"
