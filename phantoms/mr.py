"""Phantoms as MR series.

T2-like signal from a phantom's CT, on planes of any orientation, and the faults that occur in MR series.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from scipy.ndimage import gaussian_filter, map_coordinates

from imaging.ct.series import SourceFile
from imaging.dicom.uids import derived_uid
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Masks, Volume
from phantoms.dicom_modules import Identity, ct_slice
from phantoms.phantom import Phantom

_HU = (-1000.0, -500.0, -150.0, -100.0, -30.0, 5.0, 25.0, 55.0, 150.0, 400.0, 3071.0)
_SIGNAL = (0.0, 10.0, 520.0, 620.0, 560.0, 900.0, 480.0, 260.0, 200.0, 70.0, 30.0)
_BIAS = 0.25  # of the coil: by this share the signal falls off from the middle to the rim
_NOISE = 12.0


@dataclass(frozen=True, kw_only=True)
class MrExport:
    """How a volume is written; the defaults give one ordinary volume.

    With several `echo_times_ms` or `b_values` the series has one volume for each, as scanners store them.
    """

    identity: Identity = field(default_factory=Identity)
    echo_times_ms: tuple[float, ...] = (95.0,)
    b_values: tuple[float, ...] = ()
    slope: float | None = (
        None  # None: stored values are the signal, without a rescale, as most scanners write MR
    )
    description: str = "Phantom T2"


def mr_phantom(phantom: Phantom, grid: Grid | None = None) -> Phantom:
    """Return a phantom as T2-like MR signal (float32, arbitrary units) with its masks, on a grid of any orientation.

    Water is bright, fat less, muscle dark, bone and air black; the coil's sensitivity falls off towards the rim, and
    noise is Rician. The same arguments give the same values.
    """
    on = grid or phantom.volume.grid
    hu = gaussian_filter(phantom.volume.hu_zyx.astype(np.float32), 0.7)
    index = _index_of(phantom.volume.grid, on)
    signal = np.interp(_sampled(hu, index, outside=-1000.0), _HU, _SIGNAL)
    signal *= _coil(on)
    random = np.random.default_rng(phantom.seed)
    real, imaginary = (random.normal(0.0, _NOISE, on.shape_zyx) for _ in range(2))
    array = np.hypot(signal + real, imaginary).astype(np.float32)
    by_code = {
        code: Mask.from_full(
            np.asarray(
                _sampled(mask.full(phantom.volume.grid.shape_zyx).astype(np.float32), index, outside=0.0)
                > 0.5
            )
        )
        for code, mask in phantom.masks.by_code.items()
    }
    return Phantom(
        volume=Volume(array_zyx=array, grid=on),
        masks=Masks(grid=on, by_code=by_code),
        region=phantom.region,
        seed=phantom.seed,
    )


def turned_grid(grid: Grid, *, degrees: float, about: int = 2) -> Grid:
    """Return a grid turned about its middle and a patient axis (0, 1, 2 for x, y, z), of the same shape and spacing."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    one, other = [axis for axis in range(3) if axis != about]
    turn = np.eye(3)
    turn[one, one], turn[one, other], turn[other, one], turn[other, other] = c, -s, s, c
    middle = grid.points_lps((np.array(grid.shape_zyx) - 1) / 2)
    origin = middle + turn @ (np.array(grid.origin_lps) - middle)
    axes = np.array(grid.axes_lps) @ turn.T
    (zx, zy, zz), (yx, yy, yz), (xx, xy, xz) = axes.tolist()
    x, y, z = origin.tolist()
    return Grid(
        shape_zyx=grid.shape_zyx,
        origin_lps=(x, y, z),
        spacing_zyx_mm=grid.spacing_zyx_mm,
        axes_lps=((zx, zy, zz), (yx, yy, yz), (xx, xy, xz)),
    )


def mr_files(volume: Volume, how: MrExport | None = None) -> tuple[SourceFile, ...]:
    """Return a volume of signal as MR images, one Part 10 file each; the same arguments give the same bytes."""
    how = how or MrExport()
    digest = hashlib.sha256(np.ascontiguousarray(volume.array_zyx).tobytes())
    digest.update(f"{volume.grid}{how}".encode())
    return tuple(
        SourceFile(name=f"MR_{number:04d}.dcm", data=_part10(dataset))
        for number, dataset in enumerate(_datasets(volume, how, digest.hexdigest()), 1)
    )


def _datasets(volume: Volume, how: MrExport, series: str) -> Iterator[Dataset]:
    number = 0
    for index in range(len(volume.array_zyx)):
        for echo, echo_time_ms in enumerate(how.echo_times_ms, 1):
            for b_value in how.b_values or (None,):
                number += 1
                dataset = ct_slice(how.identity, series, number)
                _as_mr(dataset, how)
                dataset.EchoTime, dataset.EchoNumbers = f"{echo_time_ms:g}", str(echo)
                if b_value is not None:
                    dataset.DiffusionBValue = float(b_value)
                _place(dataset, volume.grid, index)
                _pixels(dataset, volume.array_zyx[index] / echo, how.slope)
                yield dataset


def _as_mr(dataset: Dataset, how: MrExport) -> None:
    """Turn a CT image into an MR image (PS3.3 A.4) of the same patient and study."""
    for keyword in ("KVP", "WindowCenter", "WindowWidth"):
        delattr(dataset, keyword)
    dataset.SOPClassUID, dataset.Modality = MRImageStorage, "MR"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
    dataset.SeriesDescription = how.description
    dataset.StudyDescription = "Phantom MR for planning"
    dataset.ScanningSequence, dataset.SequenceVariant = "SE", "SK"
    dataset.ScanOptions, dataset.MRAcquisitionType = "", "2D"
    dataset.RepetitionTime, dataset.FlipAngle = "4200", "90"
    dataset.EchoTrainLength, dataset.MagneticFieldStrength = "16", "1.5"
    dataset.PatientPosition = "HFS"


def _place(dataset: Dataset, grid: Grid, index: int) -> None:
    dz, dy, dx = grid.spacing_zyx_mm
    dataset.ImagePositionPatient = [_ds(v) for v in grid.points_lps((index, 0, 0)).tolist()]
    dataset.ImageOrientationPatient = [_ds(v) for v in (*grid.axes_lps[2], *grid.axes_lps[1])]
    dataset.PixelSpacing = [_ds(dy), _ds(dx)]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = _ds(dz)


def _pixels(dataset: Dataset, signal: NDArray[np.float32], slope: float | None) -> None:
    dataset.Rows, dataset.Columns = signal.shape
    dataset.PixelRepresentation = 0
    if slope is not None:
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", _ds(slope), "US"
    stored = np.clip(np.rint(signal / (slope or 1.0)), 0, 65535).astype("<u2")
    dataset.PixelData = stored.tobytes()


def _part10(dataset: Dataset) -> bytes:
    dataset.SOPInstanceUID = derived_uid(
        "phantom MR image", dataset.SeriesInstanceUID, str(dataset.InstanceNumber)
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _index_of(source: Grid, target: Grid) -> NDArray[np.float64]:
    """Return where the voxels of `target` lie in `source`: index coordinates (3, z, y, x)."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in target.shape_zyx), indexing="ij"), axis=-1)
    return np.moveaxis(source.index_zyx(target.points_lps(index)), -1, 0)


def _sampled(
    array: NDArray[np.float32], index: NDArray[np.float64], *, outside: float
) -> NDArray[np.float32]:
    return np.asarray(map_coordinates(array, index, order=1, cval=outside, prefilter=False), np.float32)


def _coil(grid: Grid) -> NDArray[np.float64]:
    axes = [np.linspace(-1, 1, n) ** 2 for n in grid.shape_zyx]
    distance = axes[0][:, None, None] + axes[1][None, :, None] + axes[2][None, None, :]
    return np.asarray(1.0 - _BIAS * distance / 3, np.float64)


def _ds(value: float) -> str:
    """Return a decimal string of at most 16 characters."""
    return f"{round(value, 10) + 0.0:.14g}"[:16]
