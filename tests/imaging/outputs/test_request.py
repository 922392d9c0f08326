from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from imaging.outputs import (
    OutputsNotWritable,
    OutputsRequest,
    make_capture,
    make_report,
    make_segmentation,
)
from imaging.outputs.request import check_request
from imaging.structures import CATALOGUE, Code
from imaging.volumes.volume import Mask
from tests.imaging.outputs.requests import request
from tests.imaging.structure_sets import CREATED, PRODUCER, SHAPE, ct_series

GOOD = request(ct_series())
FIRST = GOOD.structures[0]
TOO_FAR = Mask(crop_zyx=np.ones((2, 2, 2), np.bool_), start_zyx=(SHAPE[0] - 1, 0, 0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (replace(GOOD, structures=[]), "no structure was given"),
        (replace(GOOD, structures=[FIRST, FIRST]), "'Parotid_L' occurs twice"),
        (replace(GOOD, structures=[replace(FIRST, mask=TOO_FAR)]), r"ends at \(5, 2, 2\)"),
        (replace(GOOD, structures=[replace(FIRST, mean_probability=1.5)]), "is 1.5, not 0 to 1"),
        (replace(GOOD, structures=[replace(FIRST, mean_probability=float("nan"))]), "is nan"),
        (replace(GOOD, created=datetime(2026, 1, 1)), "no time zone"),  # noqa: DTZ001
        (replace(GOOD, job_uid=" "), "no UID"),
        (replace(GOOD, report_series_number=9101), r"\(0020,0011\)"),
        (replace(GOOD, capture_series_number=0), r"\(0020,0011\)"),
        (replace(GOOD, device_serial_number=""), r"\(0018,1000\)"),
        (replace(GOOD, producer=replace(PRODUCER, algorithm_name="a\\b")), r"\(0066,0036\)"),
        (replace(GOOD, producer=replace(PRODUCER, software_version="1" * 65)), r"\(0018,1020\)"),
    ],
)
def test_what_no_object_can_hold_is_refused_by_name(wrong: OutputsRequest, said: str) -> None:
    with pytest.raises(OutputsNotWritable, match=said):
        check_request(wrong)


def test_a_code_s_meaning_in_other_characters_is_refused() -> None:
    concept = Code(value="1", scheme="FMA", meaning="喉")
    other = replace(FIRST, structure=replace(CATALOGUE["Larynx"], concept=concept))

    def spoil(dataset: object) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "A^B"  # type: ignore[attr-defined]

    with pytest.raises(OutputsNotWritable, match="ISO_IR 100"):
        check_request(replace(GOOD, series=ct_series(spoil=spoil), structures=[other]))


def test_every_maker_checks_its_request() -> None:
    wrong = replace(GOOD, job_uid="")
    with pytest.raises(OutputsNotWritable):
        make_segmentation(wrong)
    with pytest.raises(OutputsNotWritable):
        make_report(wrong, cites_segmentation=True)
    with pytest.raises(OutputsNotWritable):
        make_capture(wrong)


def test_uids_are_of_the_job_and_the_device_and_not_of_the_time() -> None:
    later = replace(GOOD, created=CREATED.replace(year=2027))
    assert later.segmentation_uid == GOOD.segmentation_uid
    assert later.tracking_uid(FIRST.structure) == GOOD.tracking_uid(FIRST.structure)
    assert replace(GOOD, device_serial_number="2").device_uid != GOOD.device_uid
    assert replace(GOOD, job_uid="2").tracking_uid(FIRST.structure) != GOOD.tracking_uid(FIRST.structure)
