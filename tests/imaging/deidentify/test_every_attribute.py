"""Every attribute of Table E.1-1, at once and three levels deep: nothing of any of them survives but by an option."""

import io
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from imaging.deidentify import DeidentificationOptions, ProjectKey, deidentify
from imaging.deidentify.table import rows
from tests.imaging.deidentify.objects import (
    HOLDS_OTHERS,
    Canaries,
    every_listed_attribute,
    file_of,
    listed,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")
KEY = ProjectKey(bytes(range(32)))
BASIC = DeidentificationOptions(modified_dates=False, patient_characteristics=False, clean_descriptors=False)


def test_the_table_is_whole() -> None:
    assert len(rows()) == 652
    by_hand = {
        0x00100010: "Z",
        0x00100020: "Z/D",
        0x00080018: "U",
        0x00080050: "Z",
        0x00081030: "X",
        0x00080021: "X/D",
        0x00080080: "X/Z/D",
        0x30060026: "Z",
        0x30060002: "D",
        0x00081140: "X/Z/U",
        0x30060024: "U",
    }
    assert {tag: rows()[tag].basic for tag in by_hand} == by_hand
    assert rows()[0x00101010].patient_characteristics == "K"
    assert rows()[0x00080020].modified_dates == "C"
    assert {row.basic for row in rows().values()} == {
        "X",
        "Z",
        "D",
        "U",
        "X/Z",
        "X/D",
        "X/Z/D",
        "Z/D",
        "X/Z/U",
    }


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), full=st.booleans())
def test_no_value_survives_anywhere_in_the_bytes(seed: int, full: bool) -> None:
    canaries = Canaries(random.Random(seed))
    data = file_of(every_listed_attribute(canaries, depth=3))
    assert all(text.encode() in data for text in canaries.values)
    options = DeidentificationOptions() if full else BASIC
    made = deidentify(data, KEY, options).data
    left = {
        f"{tag:08X}"
        for text, tag in canaries.values.items()
        if text.encode() in made and not (full and rows()[tag].patient_characteristics == "K")
    }
    assert left == set()
    assert b"SOME VENDOR" not in made
    assert b"ZQ in the preamble" not in made


@pytest.mark.parametrize("options", [DeidentificationOptions(), BASIC])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_each_attribute_is_treated_as_the_table_says(options: DeidentificationOptions, level: int) -> None:
    canaries = Canaries(random.Random(7))
    data = file_of(every_listed_attribute(canaries, depth=3))
    before = _level(dcmread(io.BytesIO(data)), level)
    after = _level(dcmread(io.BytesIO(deidentify(data, KEY, options).data)), level)
    for tag, vr in listed():
        row = rows()[tag]
        if options.patient_characteristics and row.patient_characteristics == "K":
            assert after[tag].value == before[tag].value
        elif options.modified_dates and row.modified_dates == "C" and vr in ("DA", "DT"):
            assert str(after[tag].value) < str(before[tag].value)
        elif options.modified_dates and row.modified_dates == "C" and vr == "TM":
            assert after[tag].value == before[tag].value
        else:
            _as_the_profile_says(row.basic, before, after, tag)


def _as_the_profile_says(code: str, before: Dataset, after: Dataset, tag: int) -> None:
    if tag not in after:
        assert "X" in code, f"{tag:08X} is {code} and gone"
        return
    assert code != "X", f"{tag:08X} is to be removed"
    assert after[tag].value != before[tag].value, f"{tag:08X}"
    if code in ("D", "U"):
        assert not after[tag].is_empty, f"{tag:08X} is {code} and empty"


def _level(dataset: Dataset, level: int) -> Dataset:
    for _ in range(level):
        dataset = dataset[HOLDS_OTHERS].value[0]
    return dataset
