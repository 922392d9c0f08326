"""MR and cone-beam CT through the whole node.

Storescu in, a real Triton server, a structure set out, or words why not.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import MRImageStorage

from evaluation.overlap import dice
from imaging.ct.series import SourceFile, read_images
from imaging.dicom.uids import derived_uid
from imaging.rtstruct.masks import masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.structures import CATALOGUE
from inference.ports import free_port
from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity
from phantoms.head_neck import head_neck_grid, make_head_neck
from phantoms.mr import MrExport, mr_files, mr_phantom, turned_grid
from phantoms.regions import REGIONS
from phantoms.trunk import trunk_grid
from service.demo.peers import send_series
from service.store import JobState, JobStatus
from tests.imaging.ct_slices import part10
from tests.support.node import Node, Tps, write_settings

pytestmark = [pytest.mark.network, pytest.mark.triton]
AXIAL = trunk_grid(spacing_zyx_mm=(5.0, 3.5, 3.5), shape_zyx=(48, 111, 142), bottom_mm=-110.0)
OBLIQUE = turned_grid(turned_grid(AXIAL, degrees=18, about=0), degrees=-12, about=1)
MODEL = "phantom_mr_bladder"


@pytest.fixture(scope="module")
def mr_node(tmp_path_factory: pytest.TempPathFactory, shared_tps: Tps) -> Iterator[Node]:
    """A node with a rule for MR before the one for CT."""
    node = write_settings(tmp_path_factory.mktemp("mr"), tps_port=shared_tps.port, port=free_port())
    rule = f"""[[rules]]
name = "mr-pelvis"
modality = "MR"
body_part = "PELVIS"
model = "{MODEL}"
destinations = ["tps"]
"""
    text = node.settings_file.read_text()
    first = text.index("[[rules]]")
    node.settings_file.write_text(text[:first] + rule + text[first:])
    node.start()
    yield node
    node.stop()


def identity(patient_id: str) -> Identity:
    return Identity(patient_id=patient_id, patient_name="PHANTOM^MR", body_part="PELVIS")


def sent(node: Node, files: Sequence[SourceFile]) -> JobStatus:
    send_series(files, node.port, "CONTOURNODE", lambda _number: None)
    return node.ended(str(dcmread(BytesIO(files[0].data), stop_before_pixels=True).SeriesInstanceUID))


@pytest.mark.skipif(shutil.which("storescu") is None, reason="DCMTK's storescu is not installed")
def test_an_oblique_mr_phantom_comes_back_contoured_on_its_own_images(
    mr_node: Node, tps: Tps, tmp_path: Path
) -> None:
    phantom = mr_phantom(REGIONS["pelvis_male"](3, AXIAL), OBLIQUE)
    files = mr_files(phantom.volume, MrExport(identity=identity("MR-OBLIQUE"), slope=0.25))
    for file in files:
        (tmp_path / file.name).write_bytes(file.data)
    subprocess.run(
        ["storescu", "-aec", "CONTOURNODE", "+sd", "127.0.0.1", str(mr_node.port), str(tmp_path)],
        check=True,
        timeout=120,
    )
    image = dcmread(BytesIO(files[0].data), stop_before_pixels=True)
    job = mr_node.ended(str(image.SeriesInstanceUID))

    assert job.state is JobState.DONE, job
    assert (job.rule, job.model) == ("mr-pelvis", MODEL)
    (data,) = tps.received
    written = dcmread(BytesIO(data))
    assert written.FrameOfReferenceUID == image.FrameOfReferenceUID
    (frame,) = written.ReferencedFrameOfReferenceSequence
    images = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].ContourImageSequence
    assert {item.ReferencedSOPClassUID for item in images} == {MRImageStorage}
    assert len(images) == len(files)

    series = read_images(files)
    np.testing.assert_allclose(series.volume.grid.affine(), OBLIQUE.affine(), atol=1e-4)
    found = read_structure_set(data)
    (roi,) = (roi for roi in found.rois if roi.name == CATALOGUE["Bladder"].name)
    mask = masks_on_grid(found, series).by_number[roi.number].full(OBLIQUE.shape_zyx)
    assert dice(mask, phantom.masks.by_code["Bladder"].full(OBLIQUE.shape_zyx)) > 0.88
    for contour in roi.contours:
        (index, _, _) = OBLIQUE.index_zyx(contour.points_lps).T
        np.testing.assert_allclose(index, np.rint(index[0]), atol=1e-3)


def test_two_echoes_in_one_series_are_refused_in_words(mr_node: Node, tps: Tps) -> None:
    volume = mr_phantom(REGIONS["pelvis_male"](3, AXIAL)).volume
    files = mr_files(volume, MrExport(identity=identity("MR-ECHOES"), echo_times_ms=(12.0, 95.0)))
    job = sent(mr_node, files)
    assert job.state is JobState.REFUSED
    assert (
        "2 volumes lie in one series of 96 images at 48 positions: echoes (Echo Time (0018,0081) 12, 95)"
        in job.reason
    )
    assert not tps.received


def test_localizers_and_other_series_of_mr_are_no_failure(mr_node: Node) -> None:
    small = trunk_grid(spacing_zyx_mm=(10.0, 14.0, 14.0), shape_zyx=(6, 28, 36))
    volume = mr_phantom(REGIONS["pelvis_male"](3, AXIAL), small).volume
    scout = sent(mr_node, mr_files(volume, MrExport(identity=identity("MR-LOC"), description="3-plane loc")))
    assert scout.state is JobState.NOTHING_TO_CONTOUR
    assert "6 localizers" in scout.reason
    brain = Identity(patient_id="MR-BRAIN", patient_name="PHANTOM^MR", body_part="BRAIN")
    other = sent(mr_node, mr_files(volume, MrExport(identity=brain)))
    assert other.state is JobState.NOTHING_TO_CONTOUR
    assert "no rule matches a series of MR" in other.reason


def test_cone_beam_ct_is_refused_where_rules_are_for_ct(mr_node: Node, tps: Tps) -> None:
    grid = head_neck_grid(spacing_zyx_mm=(6.0, 8.0, 8.0), shape_zyx=(20, 48, 48))
    files = ct_files(make_head_neck(grid=grid).volume, CtExport(identity=Identity(patient_id="CBCT")))
    of_a_linac = []
    for file in files:
        dataset = dcmread(BytesIO(file.data))
        dataset.Manufacturer, dataset.ManufacturerModelName = "Varian Medical Systems", "On-Board Imager"
        dataset.SeriesInstanceUID = derived_uid("cone beam", dataset.SeriesInstanceUID)
        dataset.SOPInstanceUID = derived_uid("cone beam", dataset.SOPInstanceUID)
        of_a_linac.append(SourceFile(name=file.name, data=part10(dataset)))
    job = sent(mr_node, of_a_linac)
    assert job.state is JobState.REFUSED
    assert "this is cone-beam CT: Manufacturer's Model Name (0008,1090)" in job.reason
    assert 'modality = "CBCT"' in job.reason
    assert not tps.received
