import dataclasses
import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from imaging.contours.hole_encoding import HoleEncoding
from imaging.errors import StructureSetNotWritable
from imaging.export.masks import ChangedProperty, Exported, ProfileChange, RoiMask, export
from imaging.export.profiles import PROFILES, Boundary, EmptyRois, ExportProfile, TransferSyntax
from imaging.rtstruct.writing import masks_on_grid, read_structure_set, write_structure_set
from imaging.structures import CATALOGUE, InterpretedType, Structure
from imaging.validation import validate
from imaging.volumes.volume import Mask
from tests.imaging.structure_sets import SHAPE, ct_series, request, ring

STANDARD, ECLIPSE = PROFILES["standard"], PROFILES["eclipse"]
LARYNX = CATALOGUE["Larynx"]
SERIES = ct_series()


def figure_of_eight() -> NDArray[np.bool_]:
    full = np.zeros(SHAPE, np.bool_)
    full[1, 1:6, 1:6] = full[1, 5:10, 5:10] = True
    full[1, 3, 3] = full[1, 7, 7] = False
    return full


def nested_rings() -> NDArray[np.bool_]:
    full = np.zeros(SHAPE, np.bool_)
    for k in range(6):
        full[1:3, k : 12 - k, k : 13 - k] = k % 2 == 0
    return full


def tube() -> NDArray[np.bool_]:
    full = np.zeros(SHAPE, np.bool_)
    for k in range(9):
        full[2, k + 1, k + 2] = True
    return full


def specks() -> NDArray[np.bool_]:
    full = np.zeros(SHAPE, np.bool_)
    full[0, 0, 0] = full[0, 11, 13] = full[3, 5, 5] = full[3, 6, 6] = True
    return full


SHAPES = {
    "Musculus_constrictor_pharyngis_Left": ring(),
    "Musculus_constrictor_pharyngis_Right": figure_of_eight(),
    "Nested_rings_of_something_PRV05_L": nested_rings(),
    "Tube": tube(),
    "tube": specks(),
}


def rois(shapes: dict[str, NDArray[np.bool_]] | None = None, structure: Structure = LARYNX) -> list[RoiMask]:
    chosen = SHAPES if shapes is None else shapes
    return [
        RoiMask(structure=structure, name=name, mask=Mask.from_full(full), description="By a model.")
        for name, full in chosen.items()
    ]


def exported(profile: ExportProfile, given: list[RoiMask] | None = None) -> Exported:
    return export(request(SERIES), rois() if given is None else given, profile)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
@pytest.mark.parametrize("syntax", TransferSyntax)
@pytest.mark.parametrize("holes", HoleEncoding)
def test_every_profile_passes_its_own_gate_and_reads_as_the_masks(
    profile: ExportProfile, syntax: TransferSyntax, holes: HoleEncoding, tmp_path: Path
) -> None:
    chosen = dataclasses.replace(profile, holes=holes, transfer_syntax=syntax)
    ready = exported(chosen)
    data = write_structure_set(ready.request)
    assert validate(data, chosen, ready.masks, SERIES) == ()
    found = masks_on_grid(read_structure_set(data), SERIES)
    for number, full in enumerate(SHAPES.values(), 1):
        assert np.array_equal(found.by_number[number].full(SHAPE), full)
        assert ready.request.rois[number - 1].volume_mm3 == pytest.approx(
            int(full.sum()) * SERIES.volume.grid.voxel_volume_mm3
        )
    _check_with_dciodvfy(data, tmp_path)


def _check_with_dciodvfy(data: bytes, folder: Path) -> None:
    if shutil.which("dciodvfy") is None:
        return
    file = folder / "rs.dcm"
    file.write_bytes(data)
    said = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False).stderr
    errors = [line for line in said.splitlines() if "Error" in line]
    assert [line for line in errors if "<CLOSEDPLANAR_XOR>" not in line] == []  # newer than the tool of 2022


@pytest.mark.parametrize("boundary", [Boundary.SMOOTH, Boundary.DECIMATED])
@pytest.mark.parametrize("holes", HoleEncoding)
def test_other_boundaries_pass_within_the_volume_tolerance(boundary: Boundary, holes: HoleEncoding) -> None:
    profile = dataclasses.replace(ECLIPSE, boundary=boundary, holes=holes, volume_tolerance=0.05)
    ready = exported(profile)
    assert validate(write_structure_set(ready.request), profile, ready.masks, SERIES) == ()
    changes = [change for change in ready.changes if change.what is ChangedProperty.BOUNDARY]
    assert [change.roi for change in changes] == list(SHAPES)
    assert changes[0].why == f"the profile's boundary is {boundary}, tolerance 0.5 mm"


def test_xor_is_for_rois_with_holes_only() -> None:
    ready = exported(dataclasses.replace(STANDARD, holes=HoleEncoding.XOR))
    kinds = [{contour.geometric_type.value for contour in roi.contours} for roi in ready.request.rois]
    assert kinds == [{"CLOSEDPLANAR_XOR"}] * 3 + [{"CLOSED_PLANAR"}] * 2


def test_the_standard_changes_nothing_but_equal_names() -> None:
    ready = exported(STANDARD)
    assert [(c.roi, c.what, c.before, c.after) for c in ready.changes] == [
        ("tube", ChangedProperty.NAME, "tube", "tube2")
    ]


def test_names_are_shortened_with_their_side_and_the_whole_name_described() -> None:
    ready = exported(ECLIPSE)
    assert [roi.name for roi in ready.request.rois] == [
        "Musculus_co_Left",
        "Musculus_c_Right",
        "Nested_PRV05_L",
        "Tube",
        "tube2",
    ]
    assert ready.request.rois[0].description == "Musculus_constrictor_pharyngis_Left. By a model."
    assert ready.changes[0] == ProfileChange(
        roi="Musculus_constrictor_pharyngis_Left",
        what=ChangedProperty.NAME,
        before="Musculus_constrictor_pharyngis_Left",
        after="Musculus_co_Left",
        why="the destination takes names of at most 16 ASCII characters, unique without regard to case; "
        "the ROI description has the whole name",
    )


def test_other_alphabets_become_plain_letters_or_the_catalogue_name() -> None:
    ready = exported(ECLIPSE, rois({"Żuchwa": ring(), "喉头": ring()}))
    assert [roi.name for roi in ready.request.rois] == ["Zuchwa", "Larynx"]
    assert [roi.description for roi in ready.request.rois] == ["Zuchwa. By a model.", "喉头. By a model."]
    kept = exported(STANDARD, rois({"Żuchwa": ring(), "喉头": ring()}))  # the CT is in ISO_IR 192
    assert [roi.name for roi in kept.request.rois] == ["Żuchwa", "喉头"]
    assert kept.changes == ()


def test_a_name_that_the_ct_has_no_letters_for_becomes_plain() -> None:
    def latin(dataset: object) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "A^B"  # type: ignore[attr-defined]

    series = ct_series(spoil=latin)
    given = [RoiMask(structure=LARYNX, name="Żuchwa", mask=Mask.from_full(ring()))]
    ready = export(request(series), given, STANDARD)
    assert [roi.name for roi in ready.request.rois] == ["Zuchwa"]


@pytest.mark.parametrize("declared", ["ISO_IR 100", "", "ISO_IR 144"])
def test_a_whole_name_in_another_alphabet_stands_in_the_description_in_a_declared_character_set(
    declared: str,
) -> None:
    def latin(dataset: object) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = declared, "A^B"  # type: ignore[attr-defined]

    series = ct_series(spoil=latin)
    given = [RoiMask(structure=LARYNX, name="喉頭 _1", mask=Mask.from_full(ring()))]
    ready = export(request(series), given, ECLIPSE)
    data = write_structure_set(ready.request)
    (found,) = read_structure_set(data).rois
    assert (found.name, found.description) == ("Larynx", "喉頭 _1.")
    assert validate(data, ECLIPSE, ready.masks, series) == ()
    assert dcmread(io.BytesIO(data)).SpecificCharacterSet == "ISO_IR 192"
    assert dcmread(io.BytesIO(data)).PatientName == "A^B"


def test_beside_a_patient_in_other_letters_the_description_is_a_transliteration() -> None:
    def latin(dataset: object) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "Müller^B"  # type: ignore[attr-defined]

    series = ct_series(spoil=latin)
    given = [RoiMask(structure=LARYNX, name="Гортань", mask=Mask.from_full(ring()))]
    for profile, name in ((ECLIPSE, "Larynx"), (STANDARD, "Larynx")):
        data = write_structure_set(export(request(series), given, profile).request)
        (found,) = read_structure_set(data).rois
        assert (found.name, found.description) == (name, "Gortan'.")
        assert dcmread(io.BytesIO(data)).SpecificCharacterSet == "ISO_IR 100"


def test_empty_rois_are_left_out_or_kept() -> None:
    given = rois({"Full": ring(), "Empty": np.zeros(SHAPE, np.bool_)})
    left_out = exported(ECLIPSE, given)
    assert [roi.name for roi in left_out.request.rois] == ["Full"]
    assert [(c.roi, c.what) for c in left_out.changes] == [("Empty", ChangedProperty.LEFT_OUT)]
    keep = dataclasses.replace(ECLIPSE, empty_rois=EmptyRois.KEEP)
    kept = exported(keep, given)
    data = write_structure_set(kept.request)
    assert [(roi.name, len(roi.contours)) for roi in read_structure_set(data).rois] == [
        ("Full", 2),
        ("Empty", 0),
    ]
    assert validate(data, keep, kept.masks, SERIES) == ()
    assert [finding.code for finding in validate(data, ECLIPSE, kept.masks, SERIES)] == ["roi-empty"]
    with pytest.raises(StructureSetNotWritable, match="every mask is empty"):
        exported(ECLIPSE, given[1:])


def test_the_largest_external_stays_and_the_others_become_organs() -> None:
    external = dataclasses.replace(LARYNX, interpreted_type=InterpretedType.EXTERNAL)
    given = rois({"Small": ring(2, 1), "Body": ring(5, 0), "Skin": ring(4, 2)}, external)
    ready = exported(ECLIPSE, given)
    types = [roi.structure.interpreted_type.value for roi in ready.request.rois]
    assert types == ["ORGAN", "EXTERNAL", "ORGAN"]
    assert [(c.roi, c.before, c.after, c.why) for c in ready.changes] == [
        ("Small", "EXTERNAL", "ORGAN", "a set has one EXTERNAL, and 'Body' is larger"),
        ("Skin", "EXTERNAL", "ORGAN", "a set has one EXTERNAL, and 'Body' is larger"),
    ]
    kept = exported(STANDARD, given)
    assert [roi.structure.interpreted_type.value for roi in kept.request.rois] == ["EXTERNAL"] * 3


def test_label_and_descriptions_follow_their_patterns_and_are_cut() -> None:
    profile = dataclasses.replace(
        ECLIPSE,
        label="{model} v{version} {date}",
        description="{profile}: {description}",
        series_description="Łódź {label}",
    )
    ready = exported(profile)
    assert ready.request.label == "hn_oar v3 202603"
    assert ready.request.description == "eclipse: Contoured by a model."
    assert ready.request.series_description == "Lodz CN hn_oar"
    told = {c.what: (c.roi, c.before, c.after) for c in ready.changes if not c.roi}
    assert told[ChangedProperty.LABEL] == ("", "CN hn_oar", "hn_oar v3 202603")
    assert ChangedProperty.DESCRIPTION in told
    assert ChangedProperty.SERIES_DESCRIPTION in told
