"""Instances and their encodings, small enough to send by the hundred."""

import io
import zlib
from collections.abc import Iterator

from pydicom import Dataset, dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

CT = "1.2.840.10008.5.1.4.1.1.2"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
IMPLICIT, EXPLICIT, DEFLATED, BIG = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
)
COMPRESSED = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.5",
)
EVERY_SYNTAX = (IMPLICIT, EXPLICIT, DEFLATED, BIG, *COMPRESSED)
STUDY, SERIES = "1.2.3.10", "1.2.3.20"


def ct_slice(number: int = 1, *, pixels: bytes = bytes(range(256)) * 2, series_uid: str = SERIES) -> Dataset:
    """Gives a CT instance of 16 x 16 pixels with a sequence in front of its series UID."""
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = f"{series_uid}.{number}"
    ds.Modality = "CT"
    item = Dataset()
    item.ReferencedSOPClassUID = CT
    item.ReferencedSOPInstanceUID = "1.2.3.99"
    ds.ReferencedImageSequence = Sequence([item, Dataset()])
    ds.PatientID = "P1"
    ds.StudyInstanceUID = STUDY
    ds.SeriesInstanceUID = series_uid
    ds.FrameOfReferenceUID = "1.2.3.30"
    ds.InstanceNumber = str(number)
    ds.ImagePositionPatient = ["0", "0", str(3 * number)]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.Rows = ds.Columns = 16
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 1
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelData = pixels
    return ds


def encoded(ds: Dataset, transfer_syntax_uid: str, *, undefined_length: bool = True) -> bytes:
    """Gives the dataset's bytes in a transfer syntax; a compressed one gets two made-up fragments as its pixels."""
    syntax = UID(transfer_syntax_uid)
    copy = dcmread(io.BytesIO(part10(ds)), force=True)
    copy.ReferencedImageSequence.is_undefined_length = undefined_length
    for item in copy.ReferencedImageSequence:
        item.is_undefined_length_sequence_item = undefined_length
    if syntax.is_compressed and syntax != DEFLATED:
        item = b"\xfe\xff\x00\xe0"
        copy.PixelData = item + bytes(4) + item + b"\x04\0\0\0\xff\xd8\xff\xd9" + item + b"\x02\0\0\0\x01\x02"
        copy["PixelData"].VR = "OB"
        copy["PixelData"].is_undefined_length = True
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = syntax.is_implicit_VR
    buffer.is_little_endian = syntax.is_little_endian
    write_dataset(buffer, copy)
    plain = buffer.getvalue()
    if syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        plain = packer.compress(plain) + packer.flush()
        plain += bytes(len(plain) % 2)
    return plain


def part10(ds: Dataset, transfer_syntax_uid: str = EXPLICIT) -> bytes:
    """Gives a whole file with the dataset in it (uncompressed syntaxes only)."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = transfer_syntax_uid
    file = FileDataset("", ds, file_meta=meta, preamble=bytes(128))
    buffer = io.BytesIO()
    dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def cuts(data: bytes, size: int) -> Iterator[bytes]:
    """Gives the data in pieces of ``size`` bytes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
