"""Slices and what scanners send beside them, told apart by what the images say of themselves."""

from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import EnhancedCTImageStorage

from imaging.ct.image_kinds import ImageKind, kind_of
from imaging.ct.raw_slice import read_raw
from phantoms.dicom import ct_files
from phantoms.geometry import geometry_phantom, marked_solids, uneven_grid


@pytest.fixture(scope="module")
def plain() -> bytes:
    return ct_files(geometry_phantom(uneven_grid(), marked_solids()).volume)[0].data


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({}, ImageKind.SLICE),
        ({"ImageType": ["DERIVED", "SECONDARY", "MPR"]}, ImageKind.SLICE),  # a resampled slice with its place
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]}, ImageKind.SLICE),
        ({"ImageType": None}, ImageKind.SLICE),
        ({"ImagePositionPatient": None}, ImageKind.SLICE),  # a broken slice is no page
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "CT_SOM5 TOP"]}, ImageKind.LOCALIZER),
        ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, ImageKind.SCREEN),
        ({"ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"]}, ImageKind.SCREEN),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, ImageKind.SCREEN),
        ({"ImageType": ["DERIVED", "SECONDARY"], "ImageOrientationPatient": None}, ImageKind.SCREEN),
        ({"PhotometricInterpretation": "RGB"}, ImageKind.SCREEN),
        ({"ConversionType": "WSD"}, ImageKind.SLICE),  # written by a program, with its place
        ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "LOW DOSE"]}, ImageKind.SLICE),
        ({"ConversionType": "WSD", "ImagePositionPatient": None}, ImageKind.SCREEN),
        ({"ImageType": ["DERIVED", "SECONDARY", "REF_SURVIEW"]}, ImageKind.SCREEN),
        ({"SOPClassUID": EnhancedCTImageStorage}, ImageKind.MULTI_FRAME),
        ({"NumberOfFrames": 12}, ImageKind.MULTI_FRAME),
    ],
)
def test_an_image_says_what_it_is(plain: bytes, values: dict[str, object], kind: ImageKind) -> None:
    image = dcmread(BytesIO(plain))
    for keyword, value in values.items():
        if value is None:
            del image[keyword]
        else:
            setattr(image, keyword, value)
    buffer = BytesIO()
    image.save_as(buffer)
    assert kind_of(read_raw(buffer.getvalue(), "")) is kind
