"""Other programs read our files: plastimatch fills the same voxels, SimpleITK places them at the same points."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from imaging.ct.series import ImageSeries, SourceFile, read_ct
from imaging.export.masks import RoiMask, export
from imaging.export.profiles import PROFILES
from imaging.rtstruct.writing import masks_on_grid, read_structure_set, write_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask
from tests.imaging.ct_slices import part10, slice_dataset
from tests.imaging.small_masks import POSITIONS
from tests.imaging.structure_sets import request

PLASTIMATCH = Path("/usr/bin/plastimatch")
SHAPE, SPACING_ZYX_MM = (6, 48, 56), (2.5, 1.5, 0.75)
pytestmark = pytest.mark.skipif(not PLASTIMATCH.is_file(), reason="plastimatch is not installed")


def shapes() -> dict[str, NDArray[np.bool_]]:
    """What readers stumble over, on slices 1 to 4 of 6."""
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    away = np.hypot((y - 22.3) * 1.5, (x - 25.4) * 0.75)
    upper, lower = (np.hypot((y - row) * 1.5, (x - 25) * 0.75) for row in (15, 31))
    tube, diagonal = np.zeros(SHAPE[1:], np.bool_), np.arange(30)
    tube[5 + diagonal, 8 + diagonal] = True
    corner = (y // 10 == 1) & (x // 10 == 1) | (y // 10 == 2) & (x // 10 == 2)
    planes = {
        "ring": (away < 16) & (away > 8),
        "ring and island": (away < 17) & (away > 11) | (away < 5),
        "figure of eight": (upper < 13) & (upper > 6) | (lower < 13) & (lower > 6),
        "tube in plane": tube,
        "chessboard": ((y + x) % 2 == 0) & (away < 10),
        "corners touch": corner,
        "cavity": away < 16,
    }
    full = {name: np.zeros(SHAPE, np.bool_) for name in planes}
    for name, plane in planes.items():
        full[name][1:5] = plane
    full["cavity"][2:4] &= away >= 8
    through = np.zeros(SHAPE, np.bool_)
    through[np.arange(6), 20 + np.arange(6), 20 + np.arange(6)] = True
    return {**full, "tube through": through}


def series_in(position: str, folder: Path) -> ImageSeries:
    """A CT of this patient position, its slices in the folder too."""
    along, down, right = (np.array(axis) for axis in POSITIONS[position])
    files = []
    for k in range(SHAPE[0]):
        origin = [f"{value:g}" for value in np.array([-10.25, 20.5, -30.0]) + SPACING_ZYX_MM[0] * k * along]
        dataset = slice_dataset(np.full(SHAPE[1:], 1000 + k, np.int16), origin, [*right, *down], k + 1)
        dataset.PatientPosition, dataset.PatientName = position, "Nobody"
        files.append(SourceFile(name=f"{k}.dcm", data=part10(dataset)))
        (folder / files[-1].name).write_bytes(files[-1].data)
    return read_ct(files)


def voxels(image: sitk.Image, full: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """The mask in another image's array: each voxel where its centre lies in the patient."""
    placed = np.zeros(image.GetSize()[::-1], np.bool_)
    for point in grid.points_lps(np.argwhere(full)).tolist():
        index = image.TransformPhysicalPointToIndex(point)
        assert np.allclose(image.TransformIndexToPhysicalPoint(index), point, atol=1e-3)
        placed[index[::-1]] = True
    return placed


@pytest.mark.parametrize("position", POSITIONS)
def test_plastimatch_fills_the_same_voxels_in_every_patient_position(position: str, tmp_path: Path) -> None:
    ct, filled = tmp_path / "ct", tmp_path / "filled"
    ct.mkdir()
    series, drawn = series_in(position, ct), shapes()
    rois = [
        RoiMask(
            structure=dataclasses.replace(CATALOGUE["Larynx"], code=name),
            name=name,
            mask=Mask.from_full(full),
        )
        for name, full in drawn.items()
    ]
    data = write_structure_set(export(request(series), rois, PROFILES["eclipse"]).request)
    file = tmp_path / "structures.dcm"
    file.write_bytes(data)
    subprocess.run(
        [
            *(PLASTIMATCH, "convert", "--input", file, "--referenced-ct", ct),
            *("--output-prefix", filled, "--prefix-format", "mha"),
        ],
        check=True,
        capture_output=True,
    )
    ours = masks_on_grid(read_structure_set(data), series).by_number
    for number, (name, full) in enumerate(drawn.items(), 1):
        assert np.array_equal(ours[number].full(SHAPE), full), name
        (found,) = (f for f in filled.iterdir() if f.stem.replace("_", " ") == name)
        image = sitk.ReadImage(str(found))
        assert np.array_equal(sitk.GetArrayFromImage(image) > 0, voxels(image, full, series.volume.grid)), (
            name
        )
    shutil.rmtree(filled)
