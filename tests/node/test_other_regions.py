"""CTs of other parts of the body through the head-and-neck rule, and real head-and-neck CTs that lose nothing."""

import shutil
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from imaging.ct.series import SourceFile
from service.demo.peers import send_series
from service.store import EventKind, JobState, JobStatus
from tests.support.node import Node, Tps

DATA = Path(__file__).parents[3] / "shared" / "data" / "dicom"

pytestmark = [
    pytest.mark.network,
    pytest.mark.triton,
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="the patients beside the project (../shared/data) are absent"
    ),
]
ORGANS = {"Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Bone_Mandible", "Esophagus"}


@pytest.mark.parametrize(
    ("archive", "member", "shown"),
    [
        ("pinnacle-lung-4d.tar.xz", "*/*/*29543", "thorax"),
        ("mim-sarcoma-16.tar.xz", "dicom/STS_004/CT/image", "legs"),
    ],
)
def test_another_part_of_the_body_gets_no_contours_and_the_reason_says_what_it_shows(
    node: Node, tps: Tps, tmp_path: Path, archive: str, member: str, shown: str
) -> None:
    shutil.unpack_archive(DATA / archive, tmp_path)
    (folder,) = tmp_path.glob(member)
    job = sent_and_ended(node, folder, "*.dcm")
    assert job.state is JobState.REFUSED, job
    assert f"{shown} " in job.reason
    assert "neck or head are needed" in job.reason
    assert tps.received == []
    assert "predict" not in stages(node, job)


def test_a_real_head_and_neck_ct_loses_nothing(node: Node, tps: Tps) -> None:
    job = sent_and_ended(node, DATA / "openkbp" / "KBP001", "CT*.dcm")
    assert job.state is JobState.DONE, job
    (data,) = tps.received
    structure_set = dcmread(BytesIO(data))
    assert {str(roi.ROIName) for roi in structure_set.StructureSetROISequence} == ORGANS
    assert "IMPLAUSIBLE" not in structure_set.StructureSetDescription


def sent_and_ended(node: Node, folder: Path, pattern: str) -> JobStatus:
    files = tuple(SourceFile(name=p.name, data=p.read_bytes()) for p in sorted(folder.glob(pattern)))
    send_series(files, node.port, "CONTOURNODE", lambda _number: None)
    return node.ended(str(dcmread(BytesIO(files[0].data), stop_before_pixels=True).SeriesInstanceUID))


def stages(node: Node, job: JobStatus) -> list[str]:
    with node.book() as book:
        return [event.message for event in book.events(job.id) if event.kind is EventKind.STAGE]
