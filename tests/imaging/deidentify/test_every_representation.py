"""Identifiers planted in every attribute of the standard's dictionary, under every VR that can hold them.

None is left.
"""

import io
import struct

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from imaging.deidentify import DeidentificationOptions, DeidentificationRefused, ProjectKey, deidentify
from imaging.deidentify.table import rows
from tests.imaging.deidentify.objects import file_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
KEY = ProjectKey(b"p" * 32)
BASIC = DeidentificationOptions(
    modified_dates=False, patient_characteristics=False, clean_descriptors=False, allow_burned_in=True
)
FULL = DeidentificationOptions(allow_burned_in=True)
SHORT = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI")
LONG = ("OB", "OW", "UC", "UN", "UR", "UT")
PLANTED = {
    "name": "Sonnenblume",
    "capitals": "SONNENBLUME",
    "number": "MRN-4471123",
    "digits": "90817263",
    "date": "19600505",
    "UID": "1.2.826.0.99.4711.5",
}
OF_THE_FILE = {0x00080005, 0x00080016, 0x00080018, 0x00080060}
# Pixels and their tables, and what says how to read them: bytes that mean nothing else.
OF_THE_PIXELS = {0x7FE00010, 0x00283006, *range(0x00281201, 0x00281205), *range(0x00281221, 0x00281225)}


def _element(tag: int, vr: str, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    length = struct.pack("<H", len(value)) if vr in SHORT else struct.pack("<HI", 0, len(value))
    return head + length + value


def _planted(vr: str, value: str, tags: list[int]) -> bytes:
    """Return a CT object in which each attribute has the value under the VR; the patient stands at its own place."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, "1.2.826.0.99.1", "CT"
    whole = file_of(dataset)
    start = whole.index(struct.pack("<HH2s", 8, 0x16, b"UI"))
    own = {
        0x00080016: _element(0x00080016, "UI", CTImageStorage.encode()),
        0x00080018: _element(0x00080018, "UI", b"1.2.826.7"),
        0x00080060: _element(0x00080060, "CS", b"CT"),
        0x00100010: _element(0x00100010, "PN", b"Sonnenblume^Ida"),
        0x00100020: _element(0x00100020, "LO", b"MRN-4471123"),
        0x00100030: _element(0x00100030, "DA", b"19600505"),
        0x00101000: _element(0x00101000, "LO", b"90817263"),
        0x0020000E: _element(0x0020000E, "UI", b"1.2.826.0.99.4711.5"),
    }
    elements = own | {tag: _element(tag, vr, value.encode()) for tag in tags if tag not in own}
    return whole[:start] + b"".join(elements[tag] for tag in sorted(elements))


def _attributes(*, kept: bool) -> list[int]:
    """Every attribute of PS3.6 that stands in a dataset, but for the patient's characteristics where they are kept."""
    return [
        tag
        for tag, (vr, *_) in DicomDictionary.items()
        if tag >> 16 >= 8
        and vr != "NONE"
        and tag not in OF_THE_FILE | OF_THE_PIXELS
        and not (kept and tag in rows() and rows()[tag].patient_characteristics == "K")
    ]


@pytest.mark.parametrize("vr", SHORT + LONG)
@pytest.mark.parametrize(
    ("value", "options"),
    [*((value, FULL) for value in PLANTED.values()), (PLANTED["name"], BASIC), (PLANTED["UID"], BASIC)],
    ids=[*PLANTED, "name-basic", "UID-basic"],
)
def test_nothing_planted_is_left(vr: str, value: str, options: DeidentificationOptions) -> None:
    tags = _attributes(kept=options is FULL)
    assert len(tags) > 4500
    data = _planted(vr, value, tags)
    assert data.count(value.encode()) >= len(tags) - 8
    made = deidentify(data, KEY, options).data
    left = [
        f"{element.tag} {element.VR}"
        for element in dcmread(io.BytesIO(made)).iterall()
        if value in str(element.value) or value.encode() == element.value
    ]
    assert left == []
    assert value.encode() not in made


@pytest.mark.parametrize("vr", ["LO", "SH", "CS", "DS", "UN", "UI", "OB", "UT"])
@pytest.mark.parametrize("tag", [0x0020000D, 0x00200052, 0x3006002D, 0x00081155])
def test_a_uid_under_another_vr_is_replaced_as_under_its_own(vr: str, tag: int) -> None:
    made = dcmread(io.BytesIO(deidentify(_planted(vr, "1.2.826.0.99.4711.5", [tag]), KEY, FULL).data))
    if tag != 0x3006002D:
        assert made[tag].VR == "UI"
        assert made[tag].value == KEY.uid("1.2.826.0.99.4711.5")
    assert (
        b"1.2.826.0.99.4711.5" not in deidentify(_planted(vr, "1.2.826.0.99.4711.5", [tag]), KEY, FULL).data
    )


def test_an_identifier_behind_the_standards_root_is_replaced() -> None:
    value = "1.2.840.10008.90817263"
    assert value.encode() not in deidentify(_planted("UI", value, [0x00200052]), KEY, FULL).data


def test_a_name_among_the_characteristics_that_are_kept_refuses_the_copy() -> None:
    with pytest.raises(DeidentificationRefused, match="EthnicGroup"):
        deidentify(_planted("SH", "Sonnenblume", [0x00102160]), KEY, FULL)


def test_numbers_under_another_vr_keep_their_value() -> None:
    made = dcmread(io.BytesIO(deidentify(_planted("LO", "2.5", [0x00180050, 0x00189305]), KEY, FULL).data))
    assert (made.SliceThickness, made.RevolutionTime) == (2.5, 2.5)
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
