"""A dataset as a file that reveals nothing of the file it came from."""

import io

import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset


def part10(dataset: Dataset) -> bytes:
    """Return the Part 10 file of a dataset that was read from one, in the same transfer syntax."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    dataset.file_meta = meta
    dataset.preamble = bytes(128)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()
