"""Values that an image itself says are no Hounsfield units."""

import numpy as np
import pytest

from imaging.ct.raw_slice import read_raw
from imaging.ct.series import check_series, read_ct
from imaging.ct.units import check_units
from imaging.errors import ImageRefused, RefusalCode
from tests.imaging.ct_slices import part10, series, slice_dataset


def said(rescale_type: str | None, image_type: str = "AXIAL", also: tuple[str, ...] = ("US",)) -> str:
    dataset = slice_dataset(np.zeros((2, 3), "i2"))
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", image_type]
    dataset.RescaleType = rescale_type
    if rescale_type is None:
        del dataset.RescaleType
    return check_units(read_raw(part10(dataset), "file"), also)


@pytest.mark.parametrize("kind", [None, "HU", "hu", ""])
def test_hounsfield_units_and_a_type_that_is_absent_are_taken(kind: str | None) -> None:
    assert said(kind) == ""


@pytest.mark.parametrize("kind", ["EDW", "Z_EFF", "OD", "MGML", "ED", "PCT", "HU_MOD", "BQML"])
def test_every_other_unit_is_refused_by_its_tag(kind: str) -> None:
    with pytest.raises(ImageRefused, match=rf"Rescale Type \(0028,1054\) is '{kind}', not HU") as found:
        said(kind)
    assert found.value.code is RefusalCode.NOT_HOUNSFIELD
    assert "these are not Hounsfield units" in found.value.message


def test_types_of_the_settings_are_taken_with_a_note() -> None:
    assert "'US'" in said("US")
    assert "'HU_MOD'" in said("HU_MOD", also=("US", "HU_MOD"))
    with pytest.raises(ImageRefused):
        said("US", also=())


def test_an_image_of_electron_density_without_a_unit_is_refused_by_image_type() -> None:
    with pytest.raises(ImageRefused, match=r"Image Type \(0008,0008\) says ELECTRON_DENSITY"):
        said(None, "ELECTRON_DENSITY")
    assert said("HU", "ELECTRON_DENSITY") == ""  # the values decide


def test_one_slice_in_another_unit_refuses_the_series_before_its_pixels_are_read() -> None:
    files = series(spoil={1: lambda d: setattr(d, "RescaleType", "EDW")})
    for read in (read_ct, check_series):
        with pytest.raises(ImageRefused, match=r"image 1\.2\.3\.4\.2: Rescale Type"):
            read(files)
