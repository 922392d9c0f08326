"""Small sets of contours as files: a CT, RTSTRUCTs on it and NIfTI masks of the same voxels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from imaging.rtstruct.writing import write_structure_set
from imaging.volumes.grid import Grid
from tests.imaging.ct_slices import Spoil, part10, slice_dataset
from tests.imaging.structure_sets import SHAPE, ct_series, request, ring

Boxes = Mapping[str, NDArray[np.bool_]]
ZS = ("-7.5", "-5.0000", "-2.5", "0")
ORIGIN_LPS, SPACING_ZYX = (-10.25, 20.5, -7.5), (2.5, 1.5, 0.75)


def write_ct(folder: Path, spoil: Spoil | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for k, z in enumerate(ZS):
        dataset = slice_dataset(np.zeros(SHAPE[1:], np.int16), ("-10.25", "20.5", z), number=k + 1)
        if spoil:
            spoil(dataset)
        (folder / f"ct{k}.dcm").write_bytes(part10(dataset))
    return folder


def write_rtstruct(path: Path, masks: Boxes | None = None, spoil: Spoil | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write_structure_set(request(ct_series(spoil=spoil), masks)))
    return path


def write_nifti(path: Path, array_zyx: NDArray[np.generic], *, flipped: bool = False) -> Path:
    """The array on the CT's grid; flipped: the same voxels, written from the other ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grid: Grid = ct_series().volume.grid
    stored = array_zyx[::-1, ::-1, ::-1] if flipped else array_zyx
    image = sitk.GetImageFromArray(np.ascontiguousarray(stored))
    image.SetSpacing(grid.spacing_zyx_mm[::-1])
    corner = [n - 1 for n in SHAPE] if flipped else [0, 0, 0]
    image.SetOrigin(grid.points_lps(corner).tolist())
    image.SetDirection([-1 if flipped and k % 4 == 0 else int(k % 4 == 0) for k in range(9)])
    sitk.WriteImage(image, str(path))
    return path


def disc(outer: int = 3) -> NDArray[np.bool_]:
    return ring(outer, 0)
