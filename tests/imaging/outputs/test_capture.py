from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imaging.ct.series import read_ct
from imaging.outputs import make_capture
from imaging.outputs.capture import title
from imaging.volumes.rendering import picture
from imaging.volumes.volume import Masks
from phantoms.dicom import CtExport, ct_files
from phantoms.geometry import geometry_phantom, marked_solids, uneven_grid
from phantoms.positions import PatientPosition
from tests.imaging.outputs.files import errors_of, needs_dciodvfy, read
from tests.imaging.outputs.requests import request
from tests.imaging.structure_sets import SHAPE, ct_series


def test_the_page_is_the_picture_with_the_warning_above_it() -> None:
    made = request(ct_series())
    d = read(make_capture(made))
    masks = Masks(grid=made.series.volume.grid, by_code={i.structure.code: i.mask for i in made.structures})
    said = "UNAPPROVED, for research use   hn_oar version 3"
    assert title(made) == said
    assert np.array_equal(d.pixel_array, picture(made.series.volume, masks, title=said))
    assert not np.array_equal(d.pixel_array, picture(made.series.volume, masks, title=" "))


def test_the_page_says_what_it_is_and_names_nobody() -> None:
    series = ct_series()
    d = read(make_capture(request(series)))
    assert (d.PhotometricInterpretation, d.SamplesPerPixel, d.PlanarConfiguration) == ("RGB", 3, 0)
    assert (d.Modality, d.ConversionType, d.BurnedInAnnotation) == ("OT", "WSD", "NO")
    assert list(d.ImageType) == ["DERIVED", "SECONDARY"]
    assert "UNAPPROVED" in d.ImageComments
    assert "hn_oar version 3" in d.DerivationDescription
    assert [i.ReferencedSOPInstanceUID for i in d.SourceImageSequence] == [
        image.sop_instance_uid for image in series.slices
    ]
    made = request(series)
    assert str(d.PatientName) not in title(made)
    assert str(d.PatientID) not in title(made).split()


@needs_dciodvfy
@pytest.mark.parametrize("position", [PatientPosition.HFS, PatientPosition.FFP, PatientPosition.FFDR])
def test_dciodvfy_finds_no_error(position: PatientPosition, tmp_path: Path) -> None:
    phantom = geometry_phantom(uneven_grid(), marked_solids())
    series = read_ct(ct_files(phantom.volume, CtExport(position=position)))
    made = request(series, {"Larynx": series.volume.array_zyx == 100})
    assert errors_of(make_capture(made), tmp_path) == []


def test_the_same_request_makes_the_same_bytes() -> None:
    made = request(ct_series())
    assert make_capture(made) == make_capture(made)
    assert (
        read(make_capture(replace(made, job_uid="b"))).SOPInstanceUID
        != read(make_capture(made)).SOPInstanceUID
    )


def test_nothing_found_is_a_picture_too() -> None:
    d = read(make_capture(request(ct_series(), {"Larynx": np.zeros(SHAPE, np.bool_)})))
    assert d.pixel_array.any()
