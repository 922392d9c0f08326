"""Pages drawn for people: Secondary Capture images in colour (PS3.3 A.8.1, C.8.6.1)."""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from imaging.rtstruct.request import Producer


def make_page(dataset: Dataset, pixels: NDArray[np.uint8], producer: Producer, *, comment: str) -> None:
    """Complete a dataset that `begun` made.

    Args:
        dataset: the dataset, with its content date and time.
        pixels: (rows, columns, 3) RGB; no text in them names the patient.
        producer: what drew the page.
        comment: Image Comments (0020,4000).
    """
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ConversionType = "WSD"
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = dataset.ContentDate, dataset.ContentTime
    dataset.SecondaryCaptureDeviceManufacturer = producer.manufacturer
    dataset.SecondaryCaptureDeviceManufacturerModelName = producer.model_name
    dataset.SecondaryCaptureDeviceSoftwareVersions = producer.software_version
    dataset.PatientOrientation = ""  # it shows more than one direction
    dataset.Laterality = ""  # and not one of a pair
    dataset.BurnedInAnnotation = "NO"
    dataset.ImageComments = comment
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = pixels.shape
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    data = pixels.tobytes()
    dataset.add_new("PixelData", "OB", data + b"\0" * (len(data) % 2))
