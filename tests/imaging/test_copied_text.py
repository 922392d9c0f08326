"""Text that a result copies from its CT never keeps the result back.

The same bytes, the same character set, a warning.
"""

import re
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

from imaging.ct.series import ImageSeries, SourceFile, read_ct
from imaging.dicom.character_sets import DEFINED_TERMS, codecs_of, terms_of
from imaging.dicom.elements import Element, elements, open_stream
from imaging.dicom.patient_study import wall_clock
from imaging.errors import StructureSetNotWritable
from imaging.export.masks import RoiMask, export
from imaging.export.profiles import PROFILES
from imaging.outputs import make_capture, make_report, make_segmentation
from imaging.outputs.failure_object import FailureReport, failure_page, failure_structure_set
from imaging.rtstruct.writing import write_structure_set
from imaging.structures import CATALOGUE
from imaging.validation import Severity, ValidationFinding, refusal, validate
from imaging.volumes.volume import Mask
from tests.imaging.ct_slices import part10, slice_dataset
from tests.imaging.outputs.requests import request as beside_request
from tests.imaging.structure_sets import CREATED, PRODUCER, SHAPE, ct_series, request, ring
from tests.support.orthanc import PROGRAM, orthanc

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's about the values that are tried here

UMLAUT = b"M\xfcller^J\xfcrgen"
CASES: dict[str, tuple[dict[str, bytes | None], set[str]]] = {
    "undeclared name": ({"SpecificCharacterSet": None, "PatientName": UMLAUT}, {"charset-missing"}),
    "undeclared referring physician": (
        {"SpecificCharacterSet": None, "PatientName": b"A", "ReferringPhysicianName": UMLAUT},
        {"charset-missing"},
    ),
    "undeclared study description": (
        {"SpecificCharacterSet": None, "PatientName": b"A", "StudyDescription": b"Sch\xe4del"},
        {"charset-missing"},
    ),
    "undeclared patient id": (
        {"SpecificCharacterSet": None, "PatientName": b"A", "PatientID": b"J\xfc1"},
        {"charset-missing"},
    ),
    "empty character set": ({"SpecificCharacterSet": b"", "PatientName": UMLAUT}, {"charset-missing"}),
    "declared latin 1": ({"SpecificCharacterSet": b"ISO_IR 100", "PatientName": UMLAUT}, set()),
    "latin 9": ({"SpecificCharacterSet": b"ISO_IR 203", "PatientName": b"\xa4uro^\xbd"}, set()),
    "latin 9 extended": (
        {
            "SpecificCharacterSet": b"\\ISO 2022 IR 203",
            "PatientName": b"\x1b-b\xa4uro",
            "StudyDescription": b"CT",
        },
        set(),
    ),
    "umlaut in a declared description": (
        {"SpecificCharacterSet": b"ISO_IR 100", "PatientName": b"A", "StudyDescription": b"Sch\xe4del"},
        set(),
    ),
    "latin 1 in UTF-8": (
        {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": b"A", "StudyDescription": b"Sch\xe4del"},
        {"charset-wrong"},
    ),
    "latin 1 id in UTF-8": (
        {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": b"A", "PatientID": b"J\xfc1"},
        {"charset-wrong"},
    ),
    "misspelt, plain text": (
        {"SpecificCharacterSet": b"ISO_IR_100", "PatientName": b"A^B"},
        {"charset-unknown"},
    ),
    "misspelt, umlaut": ({"SpecificCharacterSet": b"ISO-IR 100", "PatientName": UMLAUT}, {"charset-unknown"}),
    "invented": ({"SpecificCharacterSet": b"LATIN1", "PatientName": UMLAUT}, {"charset-unknown"}),
    "a codec of Python": ({"SpecificCharacterSet": b"cp1252", "PatientName": UMLAUT}, {"charset-unknown"}),
    "no text at all": ({"SpecificCharacterSet": b"\xff\xfe", "PatientName": b"A"}, {"charset-unknown"}),
    "one known, one not": (
        {"SpecificCharacterSet": b"ISO 2022 IR 6\\KOI8-R", "PatientName": b"A"},
        {"charset-unknown"},
    ),
    "id of two values": ({"PatientID": b"A\\B"}, {"values"}),
    "id with spaces": ({"PatientID": b" P1 "}, set()),
    "id too long": ({"PatientID": b"9" * 70}, {"too-long-lo"}),
    "description too long": ({"StudyDescription": b"d" * 100}, {"too-long-lo"}),
    "accession number too long": ({"AccessionNumber": b"1234567890123456789"}, {"too-long-sh"}),
    "study id of odd length": ({"StudyID": b"123"}, set()),
    "control characters": ({"PatientName": b"A\nB\x01", "StudyDescription": b"a\tb"}, {"control-characters"}),
    "escapes in an id": ({"PatientID": b"\x1b$B1"}, {"charset-wrong"}),
    "zeros as padding": ({"PatientID": b"P1\0\0", "StudyID": b"1\0"}, set()),
    "dates in words": (
        {"StudyDate": b"2024.01.02", "StudyTime": b"12:00:00"},
        {"too-long-da", "malformed-tm"},
    ),
    "sex and age in words": (
        {"PatientSex": b"female", "PatientAge": b"65"},
        {"malformed-cs", "malformed-as"},
    ),
    "a zone that is none": ({"TimezoneOffsetFromUTC": b"+9999"}, set()),
    "a zone in words": ({"TimezoneOffsetFromUTC": b"MEZ"}, set()),
}
COPIED_ELSEWHERE = ("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName")


def series_with(values: Mapping[str, bytes | None], *, padded: bool = True) -> ImageSeries:
    """A small CT with these bytes as they are; None: without the attribute."""
    files = []
    for number, z in enumerate(("-7.5", "-5.0000", "-2.5", "0"), 1):
        dataset = slice_dataset(np.zeros(SHAPE[1:], np.int16), ("-10.25", "20.5", z), number=number)
        data = spliced(part10(dataset), values, padded=padded)
        files.append(SourceFile(name=f"slice {number}", data=data))
    return read_ct(files)


def spliced(data: bytes, values: Mapping[str, bytes | None], *, padded: bool) -> bytes:
    """A file in Explicit VR Little Endian with other values in some elements of short VRs."""
    stream = open_stream(data)
    kept = {
        one.tag: data[start : one.start + one.length]
        for start, one in pairs(stream.start, elements(data, stream.start, len(data), stream.encoding))
    }
    for keyword, value in values.items():
        tag = Tag(keyword)
        kept.pop(tag, None)
        if value is not None:
            value += b" " * (len(value) % 2 if padded else 0)
            vr = dictionary_VR(tag).encode()
            kept[tag] = struct.pack("<HH2sH", tag.group, tag.element, vr, len(value)) + value
    return data[: stream.start] + b"".join(kept[tag] for tag in sorted(kept))


def pairs(start: int, found: Iterable[Element]) -> Iterator[tuple[int, Element]]:
    """Each element with where its header begins."""
    for one in found:
        yield start, one
        start = one.start + one.length


def made(series: ImageSeries, profile: str = "standard") -> tuple[bytes, tuple[ValidationFinding, ...]]:
    """The node's own set of this series with the findings of its gate."""
    rois = [RoiMask(structure=CATALOGUE["Larynx"], name="Larynx", mask=Mask.from_full(ring(3, 0)))]
    exported = export(request(series), rois, PROFILES[profile])
    data = write_structure_set(exported.request)
    return data, validate(data, PROFILES[profile], masks=exported.masks, series=series)


def printed(data: bytes, tag: str) -> bytes | None:
    """A value at the top of a file as DCMTK prints it, an independent reader; None where it is absent."""
    command = ["dcmdump", "-q", "+L", "+P", tag, "-"]
    out = subprocess.run(command, input=data, capture_output=True, check=True, timeout=60).stdout
    found = re.match(rb"\([0-9a-f,]+\) \S\S (?:\[(.*?)\]|\(no value available\)) +#", out, re.DOTALL)
    return None if found is None else (found[1] or b"")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("profile", ["standard", "eclipse"])
def test_the_nodes_own_set_is_sent_with_a_warning(name: str, profile: str) -> None:
    values, expected = CASES[name]
    data, findings = made(series_with(values), profile)
    assert refusal(findings) is None
    assert expected <= {finding.code for finding in findings}
    charset = {finding.code for finding in findings if finding.code.startswith(("charset", "control"))}
    assert charset <= expected
    assert all(finding.severity is Severity.WARNING for finding in findings)
    for keyword, value in values.items():
        assert (value or b"") in data, keyword


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("name", CASES)
def test_dcmtk_reads_the_same_bytes_under_the_same_character_set(name: str) -> None:
    values, _ = CASES[name]
    series = series_with(values)
    others = [
        make(beside_request(series))
        for make in (make_segmentation, partial(make_report, cites_segmentation=True), make_capture)
    ]
    for data in (made(series)[0], *others):
        for keyword, value in values.items():
            tag = f"{Tag(keyword):08x}"
            found = printed(data, f"{tag[:4]},{tag[4:]}")
            if value is None:
                assert found is None, keyword
            elif b"\0" not in value and b"\n" not in value:
                assert found is not None, keyword
                assert found.strip(b" ") == value.strip(b" "), keyword


@pytest.mark.parametrize("name", CASES)
def test_a_failure_is_told_in_spite_of_it(name: str) -> None:
    values, _ = CASES[name]
    notice = FailureReport(
        series=series_with(values), reason="none", producer=PRODUCER, job_uid="1", created=CREATED
    )
    for data in (failure_structure_set(notice, PROFILES["standard"]), failure_page(notice)):
        assert all((value or b"") in data for value in values.values())


def test_a_value_of_odd_length_is_padded() -> None:
    series = series_with({"StudyID": b"123", "PatientID": b"P"}, padded=False)
    data, findings = made(series)
    assert refusal(findings) is None
    assert bytes.fromhex("20001000") + b"\4\0\0\0" + b"123 " in data


def test_another_patient_is_still_refused() -> None:
    series, other = ct_series(), series_with({"PatientID": b"\xfc", "SpecificCharacterSet": None})
    data, _ = made(series)
    rois = [RoiMask(structure=CATALOGUE["Larynx"], name="Larynx", mask=Mask.from_full(ring(3, 0)))]
    masks = export(request(series), rois, PROFILES["standard"]).masks
    findings = validate(data, PROFILES["standard"], masks=masks, series=other)
    assert "patient" in {one.code for one in findings if one.severity is Severity.ERROR}


def test_a_name_of_its_own_that_the_character_set_has_not_got_is_refused() -> None:
    series = series_with({"SpecificCharacterSet": None, "PatientName": b"A"})
    with pytest.raises(StructureSetNotWritable, match="cannot be written in the CT's Specific Character Set"):
        write_structure_set(request(series, label="Gr\u00f6\u00dfe"))
    latin = series_with({"SpecificCharacterSet": b"ISO_IR 203", "PatientName": b"A"})
    assert b"5\xa4" in write_structure_set(request(latin, label="5\u20ac"))


def test_the_defined_terms_are_those_of_the_standard() -> None:
    """PS3.3 C.12.1.1.2, Tables C.12-2 to C.12-5; each decodes a letter of its own."""
    letters = {
        "ISO_IR 100": (b"\xfc", "ü"),
        "ISO_IR 101": (b"\xb3", "ł"),
        "ISO_IR 109": (b"\xa1", "Ħ"),
        "ISO_IR 110": (b"\xe0", "ā"),
        "ISO_IR 144": (b"\xb6", "Ж"),
        "ISO_IR 127": (b"\xc8", "ب"),
        "ISO_IR 126": (b"\xe2", "β"),
        "ISO_IR 138": (b"\xe0", "א"),
        "ISO_IR 148": (b"\xf0", "ğ"),
        "ISO_IR 203": (b"\xa4", "€"),
        "ISO_IR 13": (b"\xd4", "ﾔ"),
        "ISO_IR 166": (b"\xa1", "ก"),
        "ISO_IR 192": ("王".encode(), "王"),
        "GB18030": (b"\xcd\xf5", "王"),
        "GBK": (b"\xcd\xf5", "王"),
        "ISO 2022 IR 87": (b"\x1b$B;3\x1b(B", "山"),
        "ISO 2022 IR 149": (b"\xb1\xe8", "김"),
        "ISO 2022 IR 58": (b"\xcd\xf5", "王"),
        "ISO 2022 IR 159": (b"\x1b$(D0\x21\x1b(B", "丂"),
    }
    for term, (value, letter) in letters.items():
        codecs = codecs_of([term])
        assert codecs is not None
        assert value.decode(codecs[0]) == letter, term
    extended = {term.replace("ISO_IR", "ISO 2022 IR") for term in letters if term.startswith("ISO_IR")}
    assert set(DEFINED_TERMS) == (letters.keys() | extended | {"ISO_IR 6", "ISO 2022 IR 6"}) - {
        "ISO 2022 IR 192"
    }
    assert terms_of(b"\\ISO 2022 IR 87 ") == ("ISO_IR 6", "ISO 2022 IR 87")
    assert terms_of(b"  ") == ()
    assert codecs_of(()) == ("ascii",)
    assert codecs_of(["iso_ir 100"]) is None


@pytest.mark.parametrize("zone", [b"+9999", b"-2500", b"+0560", b"MEZ", b"+01", b"+01:00", b"+\xb21\xb2\xb2"])
def test_a_zone_that_is_none_does_not_move_the_time(zone: bytes) -> None:
    assert wall_clock(CREATED, series_with({"TimezoneOffsetFromUTC": zone}).header) == CREATED


@pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed")
@pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK is not installed")
def test_orthanc_stores_every_one_and_gives_the_same_bytes_back(tmp_path: Path) -> None:
    sent = {}
    for number, (name, (values, _)) in enumerate(CASES.items()):
        uid = f"2.25.4711.{number}"
        series = series_with(values)
        data = write_structure_set(request(series, sop_instance_uid=uid))
        sent[uid] = (name, values, data)
        (tmp_path / f"{number:02}.dcm").write_bytes(data)
    with orthanc(tmp_path / "orthanc", {}) as archive:
        command = [
            "storescu",
            "+sd",
            "+sp",
            "*.dcm",
            "-aec",
            "ORTHANC",
            "127.0.0.1",
            str(archive.port),
            str(tmp_path),
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        assert sorted(archive.instances()) == sorted(sent)
