"""Cone-beam CT calls itself CT: what tells it apart, and what must not."""

import numpy as np
import pytest
from pydicom import Dataset

from imaging.ct.image_kinds import cone_beam_sign, modality_of
from imaging.ct.raw_slice import named, read_raw
from imaging.ct.series import read_images
from imaging.modality import Modality
from tests.imaging.ct_slices import part10, series, slice_dataset


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ManufacturerModelName", "On-Board Imager"),
        ("ManufacturerModelName", "XVI"),
        ("ManufacturerModelName", "Halcyon"),
        ("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL", "CBCT"]),
        ("SeriesDescription", "CBCT Pelvis"),
        ("ProtocolName", "cone-beam head"),
    ],
)
def test_a_series_that_says_cone_beam_is_known(keyword: str, value: object) -> None:
    def says(dataset: Dataset) -> None:
        setattr(dataset, keyword, value)

    files = series(spoil=dict.fromkeys(range(3), says))
    raw = read_raw(files[0].data, "")
    assert modality_of(raw) is Modality.CBCT
    assert named(keyword) in cone_beam_sign(raw)
    assert read_images(files).modality is Modality.CBCT


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ManufacturerModelName", "SOMATOM go.Sim"),
        ("ManufacturerModelName", "Big Bore RT"),
        ("SeriesDescription", "Thorax beam on"),
        ("ProtocolName", "HeadNeck 2mm"),
    ],
)
def test_other_series_are_ct(keyword: str, value: str) -> None:
    dataset = slice_dataset(np.zeros((3, 4), np.int16))
    setattr(dataset, keyword, value)
    assert modality_of(read_raw(part10(dataset), "")) is Modality.CT
