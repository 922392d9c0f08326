"""Small CT slices as Part 10 files, made attribute by attribute, so that a test can spoil each one."""

import io
import struct
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset, dcmwrite
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import CTImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from imaging.ct.series import SourceFile

STUDY, SERIES, FRAME = "1.2.3.1", "1.2.3.2", "1.2.3.3"
SPACING_YX = ("1.5", "0.75")
POSITION = ("-10.25", "20.5", "-30")
HEAD_FIRST_SUPINE = (1, 0, 0, 0, 1, 0)

Spoil = Callable[[Dataset], None]


def slice_dataset(
    stored_yx: NDArray[np.integer],
    position: Sequence[str] = POSITION,
    orientation: Sequence[float] = HEAD_FIRST_SUPINE,
    number: int = 1,
) -> Dataset:
    """A complete CT slice of 16-bit stored values with slope 1 and intercept -1024."""
    signed = stored_yx.dtype.kind == "i"
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 192"
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, f"1.2.3.4.{number}"
    d.StudyDate, d.StudyTime, d.AccessionNumber = "20240102", "120000", ""
    d.Modality, d.Manufacturer, d.ReferringPhysicianName = "CT", "Test", ""
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "Śliwa^Łucja", "P1", "", ""
    d.KVP, d.PatientPosition = "120", "HFS"
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = STUDY, SERIES, FRAME
    d.StudyID, d.SeriesNumber, d.AcquisitionNumber, d.InstanceNumber = "1", 1, 1, number
    d.PositionReferenceIndicator = ""
    d.ImagePositionPatient, d.ImageOrientationPatient = list(position), list(orientation)
    d.PixelSpacing = list(SPACING_YX)
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.Rows, d.Columns = stored_yx.shape
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, int(signed)
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = "-1024", "1", "HU"
    d.PixelData = stored_yx.astype(stored_yx.dtype.newbyteorder("<")).tobytes()
    d["PixelData"].VR = "OW"
    return d


def part10(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The file of a dataset. For big endian, PixelData must have been swapped already."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2")
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True, little_endian=None)
    return buffer.getvalue()


def series(
    zs: Sequence[str] = ("-30", "-27.5", "-25"), spoil: dict[int, Spoil] | None = None
) -> list[SourceFile]:
    """A head-first supine series of 3 x 4 slices at these z; `spoil` changes the dataset of single slices."""
    files = []
    for k, z in enumerate(zs):
        stored = np.arange(12, dtype=np.int16).reshape(3, 4) + 1000 + 100 * k
        dataset = slice_dataset(stored, (POSITION[0], POSITION[1], z), number=k + 1)
        if spoil and k in spoil:
            spoil[k](dataset)
        files.append(SourceFile(name=f"slice {k}", data=part10(dataset)))
    return files


def compressed(dataset: Dataset) -> bytes:
    """The file of a slice in RLE Lossless."""
    part10(dataset)  # states the syntax that compress starts from
    dataset.compress(RLELossless, generate_instance_uid=False)
    return part10(dataset, RLELossless)


def big_endian(dataset: Dataset) -> bytes:
    """The file of a 16-bit slice in Explicit VR Big Endian."""
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    return part10(dataset, ExplicitVRBigEndian)


def with_text(data: bytes, keyword: str, text: bytes) -> bytes:
    """An explicit little endian file with another text, valid or not, in one attribute."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, dictionary_VR(tag).encode())
    at = data.index(head) + 6
    (length,) = struct.unpack_from("<H", data, at)
    return data[:at] + struct.pack("<H", len(text)) + text + data[at + 2 + length :]
