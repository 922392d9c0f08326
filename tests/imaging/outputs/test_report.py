import io
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset

from imaging.outputs import OutputsNotWritable, OutputsRequest, make_report, make_segmentation
from tests.imaging.outputs.files import errors_of, needs_dciodvfy, read
from tests.imaging.outputs.requests import request
from tests.imaging.structure_sets import SHAPE, ct_series, no_names

VOXEL_CM3 = 2.5 * 1.5 * 0.75 / 1000


def content(made: OutputsRequest, cites_segmentation: bool = True) -> hd.sr.MeasurementReport:
    """The content as highdicom reads it."""
    report = hd.sr.srread(io.BytesIO(make_report(made, cites_segmentation=cites_segmentation)))
    assert isinstance(report, hd.sr.EnhancedSR)
    assert isinstance(report.content, hd.sr.MeasurementReport)
    return report.content


def values(group: hd.sr.MeasurementsAndQualitativeEvaluations) -> dict[str, tuple[float, str]]:
    return {str(m.name.meaning): (m.value, m.unit.value) for m in group.get_measurements()}


def evaluations(group: hd.sr.MeasurementsAndQualitativeEvaluations) -> dict[str, str]:
    """The codes' values by name; highdicom counts the algorithm's family and the finding's category among them."""
    return {str(e.name.meaning): e.value.value for e in group.get_qualitative_evaluations()}


@needs_dciodvfy
@pytest.mark.parametrize("cites", [True, False])
def test_dciodvfy_finds_no_error(cites: bool, tmp_path: Path) -> None:
    assert errors_of(make_report(request(ct_series()), cites_segmentation=cites), tmp_path) == []


def test_volumes_and_probabilities_point_at_the_segments() -> None:
    made = request(ct_series())
    groups = content(made).get_volumetric_roi_measurement_groups()
    seg = read(make_segmentation(made))
    assert len(groups) == 2
    for number, (group, segment) in enumerate(zip(groups, seg.SegmentSequence, strict=True), 1):
        referenced = group.referenced_segment
        assert referenced is not None
        assert referenced.referenced_sop_instance_uid == seg.SOPInstanceUID
        assert referenced.referenced_segment_numbers == [number]
        assert group.tracking_uid == segment.TrackingUID
        assert group.tracking_identifier == segment.TrackingID
        assert group.finding_type == hd.sr.CodedConcept.from_dataset(
            segment.SegmentedPropertyTypeCodeSequence[0]
        )
    # 2 slices of 64 - 16 voxels; 36 for the solid one
    parotid, larynx = (values(group) for group in groups)
    assert parotid["Volume"] == (pytest.approx(96 * VOXEL_CM3), "cm3")
    assert larynx["Volume"] == (pytest.approx(72 * VOXEL_CM3), "cm3")
    assert parotid["Mean probability inside the segment"] == (0.9346, "1")
    (site,) = groups[0].finding_sites
    assert site.laterality == hd.sr.CodedConcept("7771000", "SCT", "Left")


def test_without_a_segmentation_the_images_are_cited() -> None:
    series = ct_series()
    parotid, larynx, oesophagus = content(request(series), False).get_image_measurement_groups()
    met = [image.sop_instance_uid for image in series.slices[1:3]]
    assert [image.referenced_sop_instance_uid for image in parotid.source_images] == met
    assert values(larynx)["Volume"] == (pytest.approx(72 * VOXEL_CM3), "cm3")
    assert oesophagus.source_images == []


def test_a_structure_that_was_not_found_is_said_to_be_absent_and_has_no_volume() -> None:
    (absent,) = content(request(ct_series())).get_image_measurement_groups()
    assert absent.finding_type.value == "32849002"
    assert absent.get_measurements() == []
    assert evaluations(absent)["Presence of property"] == "272519000"
    for group in content(request(ct_series())).get_volumetric_roi_measurement_groups():
        assert "Presence of property" not in evaluations(group)


def test_nothing_found_makes_a_report_that_says_so() -> None:
    made = request(ct_series(), {"Larynx": np.zeros(SHAPE, np.bool_)})
    (absent,) = content(made).get_image_measurement_groups()
    assert evaluations(absent)["Presence of property"] == "272519000"
    d = read(make_report(made, cites_segmentation=True))
    assert len(d.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence) == 1


def test_notes_and_the_warning_are_comments() -> None:
    root = content(request(ct_series()))[0]
    container = root.ContentSequence[-1]
    assert container.ConceptNameCodeSequence[0].CodeMeaning == "Qualitative Evaluations"
    said = [item.TextValue for item in container.ContentSequence]
    assert said == [
        "UNAPPROVED, for research use. Contoured without a person by hn_oar version 3.",
        "Esophagus: not found.",
    ]
    _, larynx = content(request(ct_series())).get_volumetric_roi_measurement_groups()
    texts = [i.TextValue for i in larynx[0].ContentSequence if i.name.meaning == "Comment"]
    assert texts == ["Touches the first slice."]


def test_the_node_is_the_observer_and_nobody_has_verified() -> None:
    made = request(ct_series(), device_serial_number="CN-7")
    (observer,) = content(made).get_observer_contexts()
    device = observer.observer_identifying_attributes
    assert isinstance(device, hd.sr.DeviceObserverIdentifyingAttributes)
    assert (device.manufacturer_name, device.model_name, device.serial_number) == (
        "Contour Node",
        "Contour Node",
        "CN-7",
    )
    assert device.uid == made.device_uid
    d = read(make_report(made, cites_segmentation=True))
    flags = (d.CompletionFlag, d.VerificationFlag, d.PreliminaryFlag)
    assert flags == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")


def test_the_evidence_is_the_ct_and_the_segmentation() -> None:
    series = ct_series()
    made = request(series)
    seg = read(make_segmentation(made))
    (study,) = read(make_report(made, cites_segmentation=True)).CurrentRequestedProcedureEvidenceSequence
    ct, cited = study.ReferencedSeriesSequence
    assert (study.StudyInstanceUID, ct.SeriesInstanceUID) == (series.study_uid, series.series_uid)
    assert len(ct.ReferencedSOPSequence) == len(series.slices)
    assert cited.SeriesInstanceUID == seg.SeriesInstanceUID
    assert cited.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == seg.SOPInstanceUID


def test_the_same_request_makes_the_same_bytes() -> None:
    made = request(ct_series())
    data = make_report(made, cites_segmentation=True)
    assert data == make_report(made, cites_segmentation=True)


def test_texts_in_the_ct_s_characters_are_written_and_others_refused() -> None:
    series = ct_series()
    d = read(make_report(request(series, notes=("Krtań: ucięta.",)), cites_segmentation=False))
    assert d.ContentSequence[-1].ContentSequence[-1].TextValue == "Krtań: ucięta."

    def spoil(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 144", "Иванов^Иван"

    with pytest.raises(OutputsNotWritable, match=r"\(0008,0005\) ISO_IR 144"):
        make_report(request(ct_series(spoil=spoil), notes=("Krtań",)), cites_segmentation=False)


def test_a_ct_without_optional_attributes_is_reported_on() -> None:
    made = request(ct_series(spoil=no_names))
    assert len(content(made).get_volumetric_roi_measurement_groups()) == 2
    assert "SpecificCharacterSet" not in read(make_report(made, cites_segmentation=True))


def test_a_structure_without_a_stated_probability_has_its_volume_alone() -> None:
    made = request(ct_series())
    structures = [replace(item, mean_probability=None) for item in made.structures]
    groups = content(replace(made, structures=structures)).get_volumetric_roi_measurement_groups()
    assert [list(values(group)) for group in groups] == [["Volume"], ["Volume"]]
