"""Thorax phantoms: a chest with an exactly known lung tumour."""

from imaging.volumes.grid import Grid
from phantoms.anatomy.thorax import structures, thorax
from phantoms.phantom import Phantom
from phantoms.trunk import ThoraxParameters, made, trunk_grid

STRUCTURES = ("GTV", "Lung_L", "Lung_R", "Heart", "SpinalCord")


def make_thorax(how: ThoraxParameters | None = None, grid: Grid | None = None) -> Phantom:
    """Return the patient of the parameters on a grid (axes +z, +y, +x); the carina lies at the origin."""
    patient = how or ThoraxParameters()
    return made("thorax", patient, grid or trunk_grid(), thorax(patient), structures(patient))
