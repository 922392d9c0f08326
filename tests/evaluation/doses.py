"""RT Dose files of analytic doses, and contours drawn by hand."""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage

from imaging.volumes.grid import Grid, Vector

Array = NDArray[np.float64]
UPRIGHT: tuple[Vector, Vector, Vector] = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
SCALING = 1e-5


def dose_grid(
    low: Vector = (-40.0, -40.0, -40.0), high: Vector = (40.0, 40.0, 40.0), step: Vector = (2.5, 2.5, 2.5)
) -> Grid:
    """Dose points (x, y, z) from `low` to `high`, x y z, upright."""
    shape = [round((b - a) / s) + 1 for a, b, s in zip(low, high, step, strict=True)]
    return Grid(
        shape_zyx=(shape[2], shape[1], shape[0]),
        origin_lps=low,
        spacing_zyx_mm=(step[2], step[1], step[0]),
        axes_lps=UPRIGHT,
    )


def dose_dataset(grid: Grid, gy: Callable[[Array], Array]) -> Dataset:
    """An RT Dose with the dose of a function of points (..., 3) in LPS mm."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape_zyx), indexing="ij"), axis=-1)
    values = gy(grid.points_lps(index))
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = RTDoseStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "2.25.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = RTDoseStorage, "2.25.3", "RTDOSE"
    dataset.FrameOfReferenceUID = "2.25.4"
    dataset.DoseUnits, dataset.DoseType, dataset.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dataset.DoseGridScaling = str(SCALING)
    x, y = grid.axes_lps[2], grid.axes_lps[1]
    dataset.ImageOrientationPatient = [float(f"{v:.12g}") for v in (*x, *y)]
    dataset.ImagePositionPatient = [float(f"{v:.10g}") for v in grid.origin_lps]
    dz, dy, dx = grid.spacing_zyx_mm
    forward = float(np.dot(np.cross(x, y), grid.axes_lps[0]))
    dataset.PixelSpacing = [dy, dx]
    dataset.GridFrameOffsetVector = [round(k * dz * forward, 6) for k in range(grid.shape_zyx[0])]
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = grid.shape_zyx
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 32, 32, 31, 0
    dataset.PixelData = np.rint(values / SCALING).astype("<u4").tobytes()
    return dataset


def part10(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def linear(points_lps: Array) -> Array:
    """20 Gy at the isocentre, 0.5 Gy more each mm to the left."""
    return np.asarray(20.0 + 0.5 * points_lps[..., 0])


def box(half: float, zs: Array, centre: Vector = (0.0, 0.0, 0.0)) -> list[Array]:
    """A square of this half side on each z."""
    corners = np.array([(-half, -half), (half, -half), (half, half), (-half, half)]) + centre[:2]
    return [np.column_stack([corners, np.full(4, z + centre[2])]) for z in zs]


def circles(radius: float | Callable[[float], float], zs: Array, corners: int = 720) -> list[Array]:
    """A circle on each z, as polygons of the circle's area."""
    angle = np.arange(corners) * 2 * np.pi / corners
    same_area = np.sqrt(np.pi / (corners / 2 * np.sin(2 * np.pi / corners)))
    found = []
    for z in zs.tolist():
        r = (radius(z) if callable(radius) else radius) * same_area
        found.append(np.column_stack([r * np.cos(angle), r * np.sin(angle), np.full(corners, z)]))
    return found
