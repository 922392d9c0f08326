"""Looks at the objects beside a structure set as others read them: highdicom, pydicom, dciodvfy."""

import io
import shutil
import subprocess
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from imaging.volumes.grid import Grid

needs_dciodvfy = pytest.mark.skipif(
    shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed"
)


def read(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


def segments(data: bytes, image_uids: list[str]) -> NDArray[np.bool_]:
    """The segments by source image, as highdicom gives them: (image, row, column, segment)."""
    seg = hd.seg.segread(io.BytesIO(data))
    found = seg.get_pixels_by_source_instance(image_uids, assert_missing_frames_are_empty=True)
    return np.asarray(found, np.bool_)


def segments_by_place(data: bytes, grid: Grid) -> NDArray[np.bool_]:
    """The segments by where the file's own geometry puts them, on the grid: (z, y, x, segment)."""
    volume = hd.seg.segread(io.BytesIO(data)).get_volume()
    filled = np.argwhere(np.asarray(volume.array) > 0)
    points = volume.map_indices_to_reference(filled[:, :3].astype(float))
    index = grid.index_zyx(points)
    assert np.abs(index - np.rint(index)).max() < 1e-3
    result = np.zeros((*grid.shape_zyx, volume.array.shape[3]), np.bool_)
    z, y, x = np.rint(index).astype(int).T
    result[z, y, x, filled[:, 3]] = True
    return result


def errors_of(data: bytes, folder: Path) -> list[str]:
    """The lines in which dciodvfy finds an error."""
    file = folder / "object.dcm"
    file.write_bytes(data)
    command = ["dciodvfy", "-new", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert said or done.returncode == 0
    return said
