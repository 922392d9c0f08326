"""Each finding has a file that triggers exactly it: a good file in which one thing is broken."""

import dataclasses
import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from imaging.contours.exact import PlanarContour
from imaging.contours.hole_encoding import HoleEncoding
from imaging.ct.series import ImageSeries
from imaging.export.masks import Exported, RoiMask, export
from imaging.export.profiles import PROFILES, ExportProfile
from imaging.rtstruct.masks import RoiMasks
from imaging.rtstruct.writing import RoiContours, write_structure_set
from imaging.structures import CATALOGUE
from imaging.validation import Severity, ValidationFinding, refusal, series_named, validate
from imaging.validation.findings import FindingLog
from imaging.validation.tree import read_document
from imaging.validation.volumes import check_volumes
from imaging.volumes.volume import Mask
from tests.imaging.structure_sets import ct_series, request, ring

STANDARD, ECLIPSE = PROFILES["standard"], PROFILES["eclipse"]
SERIES = ct_series()
Spoil = Callable[[Dataset], None]


def ready(profile: ExportProfile = ECLIPSE) -> Exported:
    rois = [
        RoiMask(structure=CATALOGUE[code], name=code, mask=Mask.from_full(full))
        for code, full in (("Parotid_L", ring()), ("Larynx", ring(3, 0)))
    ]
    return export(request(SERIES), rois, profile)


READY = ready()
GOOD = write_structure_set(READY.request)
EXPLICIT = write_structure_set(dataclasses.replace(READY.request, explicit_vr=True))


def put(keyword: str, value: bytes, vr: str | None = None) -> Spoil:
    """Any bytes as an attribute's value; `vr` matters in Explicit VR alone."""
    tag = Tag(keyword)

    def apply(dataset: Dataset) -> None:
        dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, vr is None, True)

    return apply


def drop(keyword: str) -> Spoil:
    return lambda dataset: dataset.__delitem__(Tag(keyword))


def within(change: Spoil, *path: str | int) -> Spoil:
    """The change in an item further down."""

    def apply(dataset: Dataset) -> None:
        inner = dataset
        for keyword, number in zip(path[::2], path[1::2], strict=True):
            inner = inner[Tag(str(keyword))].value[int(number)]
        change(inner)

    return apply


def roi(change: Spoil, number: int = 0) -> Spoil:
    return within(change, "StructureSetROISequence", number)


def observed(change: Spoil, number: int = 0) -> Spoil:
    return within(change, "RTROIObservationsSequence", number)


def contour(change: Spoil) -> Spoil:
    """The change in the Larynx's first contour: a square on slice 1."""
    return within(change, "ROIContourSequence", 1, "ContourSequence", 0)


def series_item(change: Spoil) -> Spoil:
    path = (
        "ReferencedFrameOfReferenceSequence",
        0,
        "RTReferencedStudySequence",
        0,
        "RTReferencedSeriesSequence",
        0,
    )
    return within(change, *path)


def spoiled(change: Spoil, good: bytes = GOOD) -> bytes:
    dataset = dcmread(io.BytesIO(good))
    change(dataset)
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset)
    return buffer.getvalue()


def coordinates(*points: str) -> Spoil:
    """Contour Data of these points "x\\y", on the z of slice 1."""
    z = SERIES.slices[1].position[2]
    return _both(
        put("ContourData", even("\\".join(f"{point}\\{z}" for point in points))),
        put("NumberOfContourPoints", even(str(len(points)))),
    )


def even(text: str) -> bytes:
    return text.encode() + b" " * (len(text) % 2)


def _both(one: Spoil, other: Spoil) -> Spoil:
    def apply(dataset: Dataset) -> None:
        one(dataset)
        other(dataset)

    return apply


def told(findings: tuple[ValidationFinding, ...]) -> list[tuple[str, str, str]]:
    """Severity, code and the attribute's tag of each."""
    return [(finding.severity.value, finding.code, finding.path[-11:]) for finding in findings]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
@pytest.mark.parametrize("series", [None, SERIES], ids=["alone", "with CT"])
def test_a_good_file_is_clean(profile: ExportProfile, series: ImageSeries | None) -> None:
    for data in (GOOD, EXPLICIT, spoiled(lambda _: None)):
        assert validate(data, profile, series=series) == ()
    assert validate(GOOD, ECLIPSE, READY.masks, SERIES) == ()
    assert refusal(()) is None
    assert series_named(GOOD) == (SERIES.series_uid,)


REQUIRED = {
    1: "SOPInstanceUID StudyInstanceUID SeriesInstanceUID StructureSetLabel Modality",
    2: "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber ReferringPhysicianName"
    " StudyID SeriesNumber OperatorsName Manufacturer StructureSetDate StructureSetTime",
}


@pytest.mark.parametrize("keyword", REQUIRED[1].split() + REQUIRED[2].split())
def test_required_attributes_of_the_modules(keyword: str) -> None:
    tag = f"({Tag(keyword).group:04X},{Tag(keyword).element:04X})"
    assert told(validate(spoiled(drop(keyword)), ECLIPSE)) == [("error", "missing", tag)]
    empty = validate(spoiled(put(keyword, b"")), ECLIPSE)
    assert told(empty) == ([("error", "missing", tag)] if keyword in REQUIRED[1] else [])


@pytest.mark.parametrize(
    ("change", "tag"),
    [
        (roi(drop("ROIName")), "(3006,0026)"),
        (roi(drop("ROIGenerationAlgorithm")), "(3006,0036)"),
        (roi(drop("ReferencedFrameOfReferenceUID")), "(3006,0024)"),
        (observed(drop("ObservationNumber")), "(3006,0082)"),
        (observed(drop("RTROIInterpretedType")), "(3006,00A4)"),
        (observed(drop("ROIInterpreter")), "(3006,00A6)"),
        (contour(drop("ContourGeometricType")), "(3006,0042)"),
        (contour(drop("NumberOfContourPoints")), "(3006,0046)"),
        (contour(put("ContourData", b"")), "(3006,0050)"),
        (series_item(drop("ContourImageSequence")), "(3006,0016)"),
    ],
)
def test_required_attributes_of_items(change: Spoil, tag: str) -> None:
    findings = validate(spoiled(change), ECLIPSE)
    assert ("error", "missing", tag) in told(findings)
    assert {finding.code for finding in findings} <= {"missing", "few-points", "point-count"}


SQUARE = ("0\\0", "5\\0", "5\\5", "0\\5")
ONE_THING = {
    "modality": (put("Modality", b"RTPLAN"), ECLIPSE, "modality", "(0008,0060)"),
    "UID with a leading zero": (put("SeriesInstanceUID", b"1.2.03"), ECLIPSE, "malformed-ui", "(0020,000E)"),
    "UID of 65 characters": (
        put("StudyInstanceUID", b"1." + b"1" * 63 + b"\0"),
        ECLIPSE,
        "too-long-ui",
        "(0020,000D)",
    ),
    "label of 17 characters": (
        put("StructureSetLabel", b"A" * 17 + b" "),
        ECLIPSE,
        "too-long-sh",
        "(3006,0002)",
    ),
    "label outside ASCII": (
        put("StructureSetLabel", "Łódź".encode() + b" "),
        ECLIPSE,
        "not-ascii",
        "(3006,0002)",
    ),
    "name of 17 characters": (roi(put("ROIName", b"A" * 17 + b" ")), ECLIPSE, "name-length", "(3006,0026)"),
    "name in other letters": (
        roi(put("ROIName", "Żuchwa".encode() + b" ")),
        ECLIPSE,
        "not-ascii",
        "(3006,0026)",
    ),
    "names that differ in case": (roi(put("ROIName", b"LARYNX")), ECLIPSE, "name-twice", "(3006,0026)"),
    "name after a space": (roi(put("ROIName", b" Brain")), ECLIPSE, "name-space", "(3006,0026)"),
    "no name": (roi(put("ROIName", b"")), ECLIPSE, "name-space", "(3006,0026)"),
    "two values as a name": (roi(put("ROIName", b"A\\B ")), ECLIPSE, "values", "(3006,0026)"),
    "another frame": (
        roi(put("ReferencedFrameOfReferenceUID", b"1.2.9\0")),
        ECLIPSE,
        "frame-unlisted",
        "(3006,0024)",
    ),
    "the images' series": (put("SeriesInstanceUID", b"1.2.3.2\0"), ECLIPSE, "series-shared", "(0020,000E)"),
    "observation of nothing": (
        observed(put("ReferencedROINumber", b"9 "), 1),
        STANDARD,
        "roi-unknown",
        "(3006,0084)",
    ),
    "volume that is no number": (roi(put("ROIVolume", b"1,5 ")), ECLIPSE, "malformed-ds", "(3006,002C)"),
    "approved by nobody": (put("ApprovalStatus", b"APPROVED"), ECLIPSE, "approval", "(300E,0002)"),
    "no such status": (put("ApprovalStatus", b"FINE"), ECLIPSE, "approval", "(300E,0002)"),
    "two EXTERNAL": (
        _both(
            observed(put("RTROIInterpretedType", b"EXTERNAL")),
            observed(put("RTROIInterpretedType", b"EXTERNAL"), 1),
        ),
        ECLIPSE,
        "external",
        "(3006,00A4)",
    ),
    "no images": (drop("ReferencedFrameOfReferenceSequence"), ECLIPSE, "no-references", "(3006,0010)"),
    "contour without image": (contour(drop("ContourImageSequence")), ECLIPSE, "no-image", "(3006,0016)"),
    "image that is not listed": (
        contour(within(put("ReferencedSOPInstanceUID", b"1.2.9\0"), "ContourImageSequence", 0)),
        ECLIPSE,
        "image-unlisted",
        "(3006,0016)",
    ),
    "no such contour": (
        contour(put("ContourGeometricType", b"CLOSED")),
        ECLIPSE,
        "contour-type",
        "(3006,0042)",
    ),
    "types mixed": (
        within(
            put("ContourGeometricType", b"CLOSEDPLANAR_XOR"), "ROIContourSequence", 0, "ContourSequence", 0
        ),
        dataclasses.replace(ECLIPSE, holes=HoleEncoding.XOR),
        "types-mixed",
        "(3006,0042)",
    ),
    "another count": (contour(put("NumberOfContourPoints", b"5 ")), ECLIPSE, "point-count", "(3006,0046)"),
    "two points": (contour(coordinates(*SQUARE[:2])), ECLIPSE, "few-points", "(3006,0050)"),
    "17 bytes": (
        contour(coordinates("0.123456789012345\\0", *SQUARE[1:])),
        ECLIPSE,
        "too-long-ds",
        "(3006,0050)",
    ),
    "no number": (contour(coordinates("0.1.2\\0", *SQUARE[1:])), ECLIPSE, "malformed-ds", "(3006,0050)"),
    "a comma": (contour(coordinates("0,1\\0", *SQUARE[1:])), ECLIPSE, "malformed-ds", "(3006,0050)"),
    "not a number": (contour(coordinates("nan\\0", *SQUARE[1:])), ECLIPSE, "malformed-ds", "(3006,0050)"),
    "no multiple of 3": (contour(put("ContourData", b"1\\2\\3\\4 ")), ECLIPSE, "point-count", "(3006,0050)"),
    "bent": (
        contour(
            _both(
                put("ContourData", even("0\\0\\0\\5\\0\\1\\5\\5\\0\\0\\5\\1")),
                put("NumberOfContourPoints", b"4 "),
            )
        ),
        ECLIPSE,
        "not-plane",
        "(3006,0050)",
    ),
}


@pytest.mark.parametrize("name", ONE_THING)
def test_one_thing_wrong_is_one_error(name: str) -> None:
    change, profile, code, tag = ONE_THING[name]
    findings = validate(spoiled(change), profile)
    errors = [row for row in told(findings) if row[0] == "error"]
    assert errors == [("error", code, tag)]
    assert len(findings) == 1 or code == "roi-unknown"  # ... whose own ROI is then observed nowhere
    assert not any(word in finding.message for finding in findings for word in ("Śliwa", "P1"))


WARNINGS = {
    "study id of 17 characters": (put("StudyID", b"A" * 17 + b" "), "too-long-sh", "(0020,0010)"),
    "not a defined type": (observed(put("RTROIInterpretedType", b"OAR ")), "type-unknown", "(3006,00A4)"),
    "observation twice": (observed(put("ObservationNumber", b"2 ")), "number-twice", "(3006,0082)"),
    "not observed": (lambda d: d.RTROIObservationsSequence.pop(), "roi-unobserved", "(3006,0080)"),
    "no contours": (within(drop("ContourSequence"), "ROIContourSequence", 1), "roi-empty", "(3006,0022)"),
    "contour twice": (
        within(lambda d: d.ContourSequence.append(d.ContourSequence[0]), "ROIContourSequence", 1),
        "contour-repeated",
        "(3006,0050)",
    ),
    "another volume": (roi(put("ROIVolume", b"999 ")), "volume-stated", "(3006,002C)"),
    "XOR": (
        within(
            lambda d: (
                [put("ContourGeometricType", b"CLOSEDPLANAR_XOR")(c) for c in d.ContourSequence] and None
            ),
            "ROIContourSequence",
            0,
        ),
        "hole-encoding",
        "(3006,0042)",
    ),
    "padding": (lambda d: d.add_new(0xFFFCFFFC, "OB", b"\0\0"), "padding", "(FFFC,FFFC)"),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_others_may_do_is_a_warning(name: str) -> None:
    change, code, tag = WARNINGS[name]
    assert told(validate(spoiled(change), ECLIPSE)) == [("warning", code, tag)]


@pytest.mark.parametrize(
    "name", ["not a defined type", "observation twice", "not observed", "no contours", "XOR"]
)
def test_our_own_file_follows_the_profile_in_everything(name: str) -> None:
    change, code, tag = WARNINGS[name]
    assert told(validate(spoiled(change), ECLIPSE, READY.masks, SERIES)) == [("error", code, tag)]


def test_long_contours() -> None:
    circle = np.linspace(0, 2 * np.pi, 1701, endpoint=False)
    index = np.stack([np.ones(1701), 5 + 3 * np.sin(circle), 6 + 3 * np.cos(circle)], axis=1)
    polygon = PlanarContour(slice_index=1, points_lps=SERIES.volume.grid.points_lps(index))
    rois = [RoiContours(structure=CATALOGUE["Larynx"], name="Larynx", contours=[polygon])]
    data = write_structure_set(dataclasses.replace(READY.request, rois=rois))
    assert told(validate(data, ECLIPSE)) == [("warning", "most-points", "(3006,0046)")]
    none = RoiMasks(grid=SERIES.volume.grid, by_number={}, notes=())
    assert ("error", "most-points", "(3006,0046)") in told(validate(data, ECLIPSE, none, SERIES))
    rois[0] = dataclasses.replace(
        rois[0], contours=[dataclasses.replace(polygon, points_lps=np.tile(polygon.points_lps, (3, 1)))]
    )
    data = write_structure_set(dataclasses.replace(READY.request, rois=rois))
    assert told(validate(data, STANDARD)) == [("warning", "explicit-overflow", "(3006,0050)")]


def test_numbers_that_occur_twice() -> None:
    twice = roi(put("ROINumber", b"2 "))
    codes = {(finding.code, finding.path[-11:]) for finding in validate(spoiled(twice), ECLIPSE)}
    assert ("number-twice", "(3006,0022)") in codes
    assert ("roi-unknown", "(3006,0084)") in codes


@pytest.mark.parametrize(
    "sequence", ["StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence"]
)
def test_a_sequence_without_items(sequence: str) -> None:
    findings = validate(spoiled(drop(sequence)), ECLIPSE)
    assert findings[0].code == "missing"
    assert findings[0].path.startswith(sequence)


class TestBytes:
    """What a library would normalise away."""

    def test_trailing_zeros(self) -> None:
        for extra in (b"\0", b"\0" * 8, b"\0" * 512, b" \0"):
            assert told(validate(GOOD + extra, ECLIPSE)) == [("error", "trailing-bytes", "(300E,0002)")]

    def test_trailing_garbage(self) -> None:
        (finding,) = validate(GOOD + b"\xff\xfe\xfd\x01garbage", ECLIPSE)
        assert (finding.code, finding.found) == (
            "trailing-bytes",
            f"11 bytes from byte {len(GOOD)} that are no whole element",
        )

    def test_a_file_that_is_cut_off(self) -> None:
        codes = {finding.code for finding in validate(GOOD[:-3], ECLIPSE)}
        assert "trailing-bytes" in codes

    def test_an_odd_length(self) -> None:
        at = GOOD.index(struct.pack("<HHL", 0x3006, 0x0002, 10))
        data = GOOD[: at + 4] + struct.pack("<L", 9) + GOOD[at + 8 : at + 17] + GOOD[at + 18 :]
        assert told(validate(data, ECLIPSE)) == [("error", "odd-length", "(3006,0002)")]

    def test_elements_out_of_order(self) -> None:
        label = struct.pack("<HHL", 0x3006, 0x0002, 2) + b"A "
        at = GOOD.index(struct.pack("<HH", 0x300E, 0x0002))
        data = GOOD[:at] + label + GOOD[at:]
        assert told(validate(data, ECLIPSE)) == [("error", "tag-order", "(3006,0002)")]

    def test_a_value_without_its_type(self) -> None:
        data = spoiled(put("StructureSetLabel", b"A ", "UN"), EXPLICIT)
        assert told(validate(data, ECLIPSE)) == [("error", "un", "(3006,0002)")]
        data = spoiled(contour(put("ContourData", b"0\\0\\-5\\5\\0\\-5\\5\\5\\-5 ", "UN")), EXPLICIT)
        assert ("error", "un", "(3006,0050)") in told(validate(data, ECLIPSE))

    def test_a_private_value_without_its_type_is_a_warning(self) -> None:
        def private(dataset: Dataset) -> None:
            dataset.add_new(0x00090010, "LO", "MAKER")
            dataset.add_new(0x00091001, "UN", b"ab")

        assert told(validate(spoiled(private, EXPLICIT), ECLIPSE)) == [
            ("warning", "un-private", "(0009,1001)")
        ]

    def test_letters_that_are_no_value_representation(self) -> None:
        data = EXPLICIT.replace(b"\x06\x30\x02\x00SH", b"\x06\x30\x02\x00ZZ")
        assert told(validate(data, ECLIPSE)) == [("error", "bad-vr", "(3006,0002)")]
        data = EXPLICIT.replace(b"\x06\x30\x02\x00SH", b"\x06\x30\x02\x00LO")
        assert told(validate(data, ECLIPSE)) == [("warning", "other-vr", "(3006,0002)")]

    def test_characters(self) -> None:
        declared = struct.pack("<HHL", 0x0008, 0x0005, 10) + b"ISO_IR 192"
        assert told(validate(GOOD.replace(declared, b""), STANDARD)) == [
            ("error", "charset-missing", "(0010,0010)")
        ]
        assert told(validate(GOOD.replace(b"ISO_IR 192", b"LATIN 1   "), STANDARD)) == [
            ("error", "charset-unknown", "(0008,0005)")
        ]
        assert told(validate(spoiled(put("StructureSetLabel", b"\xff\xfe")), STANDARD)) == [
            ("error", "charset-wrong", "(3006,0002)")
        ]

    def test_no_header(self) -> None:
        start = GOOD.index(b"\x08\x00\x05\x00")
        (finding,) = validate(GOOD[start:], ECLIPSE)
        assert (finding.code, finding.path) == ("no-meta", "file")

    def test_a_header_of_another_object(self) -> None:
        data = GOOD.replace(b"2.25.11\0", b"2.25.13\0", 1)
        assert told(validate(data, ECLIPSE)) == [("error", "meta-differs", "(0002,0003)")]

    def test_transfer_syntaxes(self) -> None:
        dataset = dcmread(io.BytesIO(EXPLICIT))
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        buffer = io.BytesIO()
        dcmwrite(buffer, dataset)
        (finding,) = validate(buffer.getvalue(), ECLIPSE)
        assert (finding.code, finding.found) == ("transfer-syntax", DeflatedExplicitVRLittleEndian)
        (finding,) = validate(EXPLICIT, ECLIPSE, READY.masks, SERIES)
        assert (finding.code, finding.found) == ("transfer-syntax", ExplicitVRLittleEndian)

    def test_other_files(self) -> None:
        assert [f.code for f in validate(b"", ECLIPSE)] == ["no-dicom"]
        assert [f.code for f in validate(b"# Readme\n" * 50, ECLIPSE)] == ["no-dicom"]
        plan = spoiled(put("SOPClassUID", b"1.2.840.10008.5.1.4.1.1.481.5\0"))
        assert [f.code for f in validate(plan, ECLIPSE)] == ["no-structure-set"]

    def test_sequences_without_end(self) -> None:
        sequence = struct.pack("<HHL", 0x300E, 0x0100, 0xFFFFFFFF)
        item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
        (finding,) = validate(GOOD + sequence + (item + sequence) * 3000, ECLIPSE)
        assert finding.code == "no-dicom"
        assert "nested deeper than 32" in finding.found

    def test_spoiled_bytes_make_findings_and_never_an_exception(self) -> None:
        rng = np.random.default_rng(4)
        for data in (GOOD, EXPLICIT):
            for at in rng.integers(0, len(data), 200).tolist():
                flipped = data[:at] + bytes([data[at] ^ int(rng.integers(1, 256))]) + data[at + 1 :]
                for broken in (flipped, data[:at], data[:at] + data[at + 3 :]):
                    validate(broken, ECLIPSE, series=SERIES)


class TestAgainstTheImages:
    def test_another_study_frame_and_patient(self) -> None:
        for keyword, code in (
            ("StudyInstanceUID", "study"),
            ("FrameOfReferenceUID", "frame"),
            ("PatientID", "patient"),
        ):
            (finding,) = validate(spoiled(put(keyword, b"1.2.99")), ECLIPSE, series=SERIES)
            assert finding.code == code
        assert "P1" not in finding.message
        assert "1.2.99" not in finding.message

    def test_another_series(self) -> None:
        other = dataclasses.replace(SERIES, series_uid="1.2.77")
        (finding,) = validate(GOOD, ECLIPSE, series=other)
        assert (finding.code, finding.expected, finding.found) == ("series", "1.2.77", SERIES.series_uid)

    def test_images_that_were_not_received(self) -> None:
        less = dataclasses.replace(
            SERIES,
            slices=(dataclasses.replace(SERIES.slices[0], sop_instance_uid="1.2.9"), *SERIES.slices[1:]),
        )
        assert [f.code for f in validate(GOOD, ECLIPSE, series=less)] == ["images-foreign", "images-missing"]
        middle = dataclasses.replace(SERIES.slices[1], sop_instance_uid="1.2.9")
        less = dataclasses.replace(SERIES, slices=(SERIES.slices[0], middle, *SERIES.slices[2:]))
        findings = validate(GOOD, ECLIPSE, series=less)
        assert [(f.code, f.count) for f in findings] == [
            ("images-foreign", 1),
            ("image-foreign", 2),
            ("images-missing", 1),
        ]

    def test_planes_off_the_slices(self) -> None:
        z = float(SERIES.slices[1].position[2])
        text = "\\".join(f"{x}\\{y}\\{z + 0.02:g}" for x, y in ((-5, 22), (-3, 22), (-3, 26)))
        change = contour(_both(put("ContourData", even(text)), put("NumberOfContourPoints", b"3 ")))
        (finding,) = validate(spoiled(change), ECLIPSE, series=SERIES)
        assert (finding.code, finding.found) == ("plane-off", "0.02 mm off")
        assert finding.path == "ROIContourSequence[2].ContourSequence[1].ContourData (3006,0050)"

    def test_a_contour_that_names_the_wrong_slice(self) -> None:
        uid = SERIES.slices[2].sop_instance_uid.encode()
        change = contour(
            within(put("ReferencedSOPInstanceUID", uid + b"\0" * (len(uid) % 2)), "ContourImageSequence", 0)
        )
        assert [f.code for f in validate(spoiled(change), ECLIPSE, series=SERIES)] == ["plane-off"]

    def test_points_beside_the_image(self) -> None:
        change = contour(coordinates("400\\0", "405\\0", "405\\5"))
        (finding,) = validate(spoiled(change), ECLIPSE, series=SERIES)
        assert (finding.severity, finding.code) == (Severity.WARNING, "beside-image")

    def test_uids_that_are_the_cts_own_fault(self) -> None:
        odd = dataclasses.replace(SERIES, study_uid="1.2.03")
        change = _both(
            put("StudyInstanceUID", b"1.2.03"),
            within(
                put("ReferencedSOPInstanceUID", b"1.2.03"),
                "ReferencedFrameOfReferenceSequence", 0, "RTReferencedStudySequence", 0,
            ),
        )  # fmt: skip
        findings = validate(spoiled(change), ECLIPSE, series=odd)
        assert {(f.severity, f.code) for f in findings} == {(Severity.WARNING, "malformed-ui")}
        assert validate(spoiled(change), ECLIPSE)[0].severity is Severity.ERROR


class TestAgainstTheMasks:
    def test_another_mask(self) -> None:
        more = {**READY.masks.by_number, 2: Mask.from_full(ring(4, 0))}
        masks = dataclasses.replace(READY.masks, by_number=more)
        (finding,) = validate(GOOD, ECLIPSE, masks, SERIES)
        assert finding.code == "volume"
        assert finding.what == "ROI 2 is not its mask"
        voxel_cm3 = SERIES.volume.grid.voxel_volume_mm3 / 1000
        assert finding.found == f"{72 * voxel_cm3:.3f} cm3 and 56 voxels that differ"
        assert refusal((finding,)) == f"{finding.path}: {finding.message}"

    def test_an_roi_is_found_by_its_number(self) -> None:
        rois = [
            RoiMask(structure=CATALOGUE["Larynx"], name=name, mask=Mask.from_full(full), number=number)
            for name, number, full in (("one", 40, ring()), ("other", 7, ring(3, 0)))
        ]
        exported = export(request(SERIES), rois, ECLIPSE)
        data = write_structure_set(exported.request)
        assert sorted(exported.masks.by_number) == [7, 40]
        assert validate(data, ECLIPSE, exported.masks, SERIES) == ()
        swapped = {7: exported.masks.by_number[40], 40: exported.masks.by_number[40]}
        masks = dataclasses.replace(exported.masks, by_number=swapped)
        (finding,) = validate(data, ECLIPSE, masks, SERIES)
        assert (finding.what, finding.path) == (
            "ROI 7 is not its mask",
            "ROIContourSequence[2].ContourSequence (3006,0040)",
        )

    def test_the_tolerance_is_a_share_of_the_masks_voxels(self) -> None:
        full = ring(3, 0)
        full[1, 3, 4] = False  # 71 of the 72 voxels that the contours hold
        masks = dataclasses.replace(READY.masks, by_number={**READY.masks.by_number, 2: Mask.from_full(full)})
        loose = dataclasses.replace(ECLIPSE, volume_tolerance=0.02)
        assert validate(GOOD, loose, masks, SERIES) == ()
        tight = dataclasses.replace(ECLIPSE, volume_tolerance=0.01)
        assert [finding.code for finding in validate(GOOD, tight, masks, SERIES)] == ["volume"]

    def test_a_mask_without_its_roi(self) -> None:
        masks = dataclasses.replace(
            READY.masks, by_number={**READY.masks.by_number, 3: Mask.from_full(ring())}
        )
        assert [finding.code for finding in validate(GOOD, ECLIPSE, masks, SERIES)] == ["roi-count"]

    def test_our_own_is_never_approved(self) -> None:
        for change in (put("ApprovalStatus", b"REJECTED"), drop("ApprovalStatus")):
            assert [f.code for f in validate(spoiled(change), ECLIPSE, READY.masks, SERIES)] == ["approval"]


def test_every_kind_is_told_once_with_its_number_of_times() -> None:
    def twist(dataset: Dataset) -> None:
        for item in dataset.ROIContourSequence:
            for drawn in item.ContourSequence:
                put("NumberOfContourPoints", b"7 ")(drawn)

    findings = validate(spoiled(twist), ECLIPSE)
    assert [(f.code, f.count, f.path.split(".")[0]) for f in findings] == [
        ("point-count", 2, "ROIContourSequence[1]"),
        ("point-count", 2, "ROIContourSequence[2]"),
    ]
    assert findings[0].line == (
        "error: ROIContourSequence[1].ContourSequence[1].NumberOfContourPoints (3006,0046): another number of points"
        " (2 times, here the first): expected 11 as in Contour Data, found 7. Write the number of points."
    )


def test_nine_hundred_thousand_points_pass() -> None:
    series = ct_series(zs=tuple(f"{-200 + 2.5 * k:.1f}" for k in range(160)))
    angle = np.linspace(0, 2 * np.pi, 150, endpoint=False)
    grid = series.volume.grid
    polygons = [
        PlanarContour(
            slice_index=k,
            points_lps=grid.points_lps(
                np.stack([np.full(150, k), 5 + 4 * np.sin(angle), 6 + 4 * np.cos(angle)], axis=1)
            ),
        )
        for k in range(5, 155)
    ]
    rois = [RoiContours(structure=CATALOGUE["Larynx"], name=f"ROI{k}", contours=polygons) for k in range(40)]
    data = write_structure_set(request(series, rois=rois))
    assert validate(data, ECLIPSE, series=series) == ()


def test_a_set_that_cannot_be_read_back_is_an_error_and_no_exception() -> None:
    log = FindingLog()
    check_volumes(b"no DICOM", read_document(GOOD, FindingLog()), READY.masks, ECLIPSE, log)
    assert [(found.severity, found.code) for found in log.findings()] == [(Severity.ERROR, "unreadable")]
