"""Phantoms as DICOM CT series: regular ones for demos and, on request, with any of the faults seen in clinics."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from scipy.ndimage import shift as shifted

from imaging.ct.series import SourceFile
from imaging.dicom.uids import derived_uid
from imaging.volumes.volume import Volume
from phantoms.dicom_modules import Identity, ct_slice
from phantoms.positions import PatientPosition, as_stored, directions, first_pixel_yx


class SliceOrder(StrEnum):
    """The order of the files; Instance Numbers follow the table's direction, not this order."""

    ASCENDING = "ascending"
    DESCENDING = "descending"
    SHUFFLED = "shuffled"


@dataclass(frozen=True, kw_only=True)
class CtExport:
    """How a volume is written. Slices are counted from the lowest z, 0; the defaults give an ordinary series."""

    identity: Identity = field(default_factory=Identity)
    position: PatientPosition = PatientPosition.HFS
    order: SliceOrder = SliceOrder.ASCENDING
    transfer_syntax_uid: str = ExplicitVRLittleEndian
    signed: bool = True
    rescale_per_slice: bool = False
    padded_corners: bool = False  # pixels outside the scan circle hold a padding value
    dropped: tuple[int, ...] = ()
    duplicated: tuple[int, ...] = ()
    moved: tuple[tuple[int, float], ...] = ()  # (from this slice on, by these mm along z)
    gantry_tilt_deg: float = 0.0
    localizer: bool = False


def ct_files(volume: Volume, how: CtExport | None = None) -> tuple[SourceFile, ...]:
    """Return a volume (axes +z, +y, +x) as CT images, one Part 10 file each; the same arguments give the same bytes."""
    how = how or CtExport()
    if not np.allclose(volume.grid.axes_lps, np.eye(3)[::-1]):
        raise ValueError("Only volumes with the axes z, y, x of the patient are exported.")
    return tuple(
        SourceFile(name=f"CT_{number:04d}.dcm", data=_part10(dataset, how.transfer_syntax_uid))
        for number, dataset in enumerate(_datasets(volume, how), 1)
    )


def write_ct(volume: Volume, folder: Path, how: CtExport | None = None) -> list[Path]:
    """Write the series into ``folder`` (created where absent) and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in ct_files(volume, how):
        path = folder / file.name
        path.write_bytes(file.data)
        paths.append(path)
    return paths


def _datasets(volume: Volume, how: CtExport) -> Iterator[Dataset]:
    array = volume.hu_zyx
    tilt = float(np.tan(np.deg2rad(how.gantry_tilt_deg)))
    if tilt:
        array = _sheared(array, volume, tilt)
    stored = as_stored(array, how.position)
    series = _series_key(volume, how)
    for index in _in_order(len(array), how):
        dataset = ct_slice(how.identity, series, _instance_number(index, len(array), how))
        _place(dataset, volume, index, how, tilt)
        _pixels(dataset, stored[index], index, how)
        yield dataset
        if index in how.duplicated:
            twin = dataset.copy()
            twin.SOPInstanceUID = derived_uid("phantom duplicate", dataset.SOPInstanceUID)
            yield twin
    if how.localizer:
        yield _localizer(volume, how, series)


def _in_order(count: int, how: CtExport) -> list[int]:
    order = [index for index in range(count) if index not in how.dropped]
    if how.order is SliceOrder.DESCENDING:
        order.reverse()
    elif how.order is SliceOrder.SHUFFLED:
        np.random.default_rng(count).shuffle(order)
    return order


def _instance_number(index: int, count: int, how: CtExport) -> int:
    return count - index if how.position.startswith("HF") else index + 1


def _place(dataset: Dataset, volume: Volume, index: int, how: CtExport, tilt: float) -> None:
    grid = volume.grid
    dz, dy, dx = grid.spacing_zyx_mm
    y, x = first_pixel_yx(grid.shape_zyx[1:], how.position)
    left, back, up = (float(v) for v in grid.points_lps((index, y, x)))
    up += sum(mm for start, mm in how.moved if index >= start)
    up += tilt * (y - grid.shape_zyx[1] / 2) * dy
    along, down = (_tilted(v, tilt) for v in directions(how.position))
    dataset.ImagePositionPatient = [_ds(left), _ds(back), _ds(up)]
    dataset.ImageOrientationPatient = [_ds(v) for v in (*along, *down)]
    dataset.PixelSpacing = [_ds(_step(v, dy, dx, tilt)) for v in directions(how.position)[::-1]]
    dataset.SliceThickness = _ds(dz)
    dataset.SliceLocation = _ds(up)
    dataset.PatientPosition = str(how.position)
    dataset.GantryDetectorTilt = _ds(how.gantry_tilt_deg)


def _step(direction: tuple[int, int, int], dy: float, dx: float, tilt: float) -> float:
    return float(dy * np.hypot(1, tilt)) if direction[1] else dx


def _pixels(dataset: Dataset, hu: NDArray[np.int16], index: int, how: CtExport) -> None:
    intercept = (0 if how.signed else -1024) - (8 * (index % 5) if how.rescale_per_slice else 0)
    values = hu.astype(np.int32) - intercept
    dataset.Rows, dataset.Columns = hu.shape
    dataset.PixelRepresentation = 1 if how.signed else 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = str(intercept), "1", "HU"
    if how.padded_corners:
        padding = -2000 if how.signed else 0
        dataset.add_new(0x00280120, "SS" if how.signed else "US", padding)
        values[_outside_circle(hu.shape)] = padding
    dataset.PixelData = np.ascontiguousarray(values, "<i2" if how.signed else "<u2").tobytes()


def _localizer(volume: Volume, how: CtExport, series: str) -> Dataset:
    """Return a coronal projection, as scanners add it to a series."""
    dataset = ct_slice(how.identity, series, 0)
    _place(dataset, volume, volume.grid.shape_zyx[0] - 1, CtExport(), 0.0)
    dz, _, dx = volume.grid.spacing_zyx_mm
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]
    dataset.PixelSpacing = [_ds(dz), _ds(dx)]
    dataset.PatientPosition = str(how.position)
    _pixels(dataset, volume.array_zyx.mean(axis=1).astype(np.int16)[::-1], 0, CtExport(signed=how.signed))
    del dataset.RescaleType  # localizers have no HU
    return dataset


def _sheared(array: NDArray[np.int16], volume: Volume, tilt: float) -> NDArray[np.int16]:
    """Return the array as seen in image planes that rise by ``tilt`` mm per mm towards posterior."""
    dz, dy, _ = volume.grid.spacing_zyx_mm
    result = np.empty_like(array)
    for row in range(array.shape[1]):
        steps = tilt * (row - array.shape[1] / 2) * dy / dz
        result[:, row] = shifted(array[:, row].astype(np.float32), (-steps, 0), order=1, cval=-1000).round()
    return result


def _tilted(vector: tuple[int, int, int], tilt: float) -> tuple[float, float, float]:
    x, y, _ = vector
    length = float(np.hypot(1, tilt)) if y else 1.0
    return float(x), y / length, y * tilt / length


def _outside_circle(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = (np.linspace(-1, 1, n) for n in shape)
    return np.asarray(rows[:, None] ** 2 + columns[None, :] ** 2 > 1.0)


def _series_key(volume: Volume, how: CtExport) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(volume.array_zyx).tobytes())
    digest.update(f"{volume.grid}{how}".encode())
    return digest.hexdigest()


def _part10(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    syntax = UID(transfer_syntax_uid)
    if syntax.is_compressed and not syntax.is_deflated:
        dataset.compress(syntax, generate_instance_uid=False)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _ds(value: float) -> str:
    """Return a decimal string of at most 16 characters."""
    return f"{round(value, 6) + 0.0:.10g}"
