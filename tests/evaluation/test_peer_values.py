"""The same masks as surface-distance 0.1 (NumPy 1.26) and MedPy 0.5.2 measured them.

The same definition, the same value.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.geometry import compare
from evaluation.pair import MaskPair
from imaging.volumes.grid import Grid

SPACINGS = ((3.0, 0.9, 0.9), (1.0, 1.25, 1.5), (2.5, 0.8, 1.1))
SURFACE_DISTANCE = {  # robust Hausdorff 95, mean of both averages, surface Dice and both overlaps at 2 mm
    0: (6.0, 1.301277684162082, 0.7868124033704516, 0.778815088013788, 0.7954622510417498),
    1: (4.949747468305833, 0.9869945521522857, 0.9063563854544191, 0.9768030126991712, 0.8442644834244963),
    2: (3.2, 1.1426921062065416, 0.7871639850642532, 0.8167316549165857, 0.7613397367327621),
}
MEDPY = {  # hd, hd95, assd as the mean of both means, asd from the found and from the reference
    0: (6.977822009767804, 6.0, 1.8529969838716533, 1.8534990467344616, 1.8524772331573098),
    1: (5.787918451395113, 4.0, 1.3169266293899888, 1.5493965479740697, 1.0400234022676766),
    2: (5.063595560468865, 4.0, 1.495220476992182, 1.516184335895364, 1.4669976641751556),
}


def _pair(k: int) -> MaskPair:
    z, y, x = np.mgrid[0:20, 0:30, 0:34].astype(float)
    reference = ((z - 10) / (6 + k)) ** 2 + ((y - 14) / (9 - k)) ** 2 + ((x - 16) / 11) ** 2 < 1
    hole: NDArray[np.bool_] = ((z - 10) / 2) ** 2 + ((y - 14) / 3) ** 2 + ((x - 16) / 4) ** 2 < 1
    found = (((z - 11) / (5 + k)) ** 2 + ((y - 15) / 9) ** 2 + ((x - 15) / (10 + k)) ** 2 < 1) & ~hole
    grid = Grid(
        shape_zyx=(20, 30, 34),
        origin_lps=(5.0, -7.0, 11.0),
        spacing_zyx_mm=SPACINGS[k],
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    return MaskPair.of_arrays(found, reference, grid)


@pytest.mark.parametrize("k", SURFACE_DISTANCE)
def test_area_weighted_values_are_those_of_surface_distance(k: int) -> None:
    values = compare(_pair(k), (2.0,)).values
    ours = [
        values["hausdorff95_area_weighted_mm"],
        values["average_surface_distance_area_weighted_mm"],
        values["surface_dice_area_weighted_at_2mm"],
        values["surface_overlap_of_reference_at_2mm"],
        values["surface_overlap_of_found_at_2mm"],
    ]
    assert ours == pytest.approx(SURFACE_DISTANCE[k], abs=1e-6)


@pytest.mark.parametrize("k", MEDPY)
def test_border_voxel_values_are_those_of_medpy(k: int) -> None:
    """MedPy's assd is the mean of all distances, pooled."""
    values = compare(_pair(k)).values
    ours = [
        values["hausdorff_mm"],
        values["hausdorff95_pooled_mm"],
        values["average_surface_distance_pooled_mm"],
        values["average_surface_distance_from_found_mm"],
        values["average_surface_distance_from_reference_mm"],
    ]
    assert ours == pytest.approx(MEDPY[k], abs=1e-6)
