"""What the viewer draws is what the files hold: voxels, contours, and refusals in words."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread

from imaging.ct.series import SourceFile, read_ct
from phantoms.dicom import CtExport, PatientPosition
from service.application import ActorRole
from service.web.live import LiveJobs
from service.web.slice_strip import strip_of
from tests.service.web.conftest import Page
from tests.service.work.test_worker import Server, brainstem_and_larynx, worker

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.mark.parametrize("position", [PatientPosition.HFS, PatientPosition.FFP])
def test_voxels_and_contours_are_those_of_the_files(
    page: Page, bring: Callable[..., int], position: PatientPosition
) -> None:
    number = bring(how=CtExport(position=position))
    assert worker(page.node, Server(brainstem_and_larynx)).work_one()
    instances = page.node.book.instances_of(number)
    files = [
        SourceFile(name=one.sop_instance_uid, data=page.node.files.read(one.file.path)) for one in instances
    ]
    series = read_ct(files)
    viewer = page.person("vera", ActorRole.VIEWER)

    grid = viewer.get(f"/api/v1/jobs/{number}/ct").json()
    assert tuple(grid["shape_zyx"]) == series.volume.grid.shape_zyx
    assert grid["patient_position"] == position.value
    whole = viewer.get(f"/api/v1/jobs/{number}/ct/voxels").content
    assert np.array_equal(np.frombuffer(whole, "<i2").reshape(grid["shape_zyx"]), series.volume.array_zyx)
    one = viewer.get(f"/api/v1/jobs/{number}/ct/slices/2").content
    assert one == series.volume.array_zyx[2].astype("<i2").tobytes()
    assert viewer.get(f"/api/v1/jobs/{number}/ct/slices/999").status_code == 404
    part = viewer.get(f"/api/v1/jobs/{number}/ct/voxels?first=1&count=2&encoding=planes")
    assert part.headers["x-voxels"] in ("planes", "raw")

    found = viewer.get(f"/api/v1/jobs/{number}/contours").json()
    sent = dcmread(BytesIO(viewer.get(f"/api/v1/jobs/{number}/structure-set").content))
    assert [one["name"] for one in found["structures"]] == [
        roi.ROIName for roi in sent.StructureSetROISequence
    ]
    assert found["approval"] == "UNAPPROVED"
    for structure, item in zip(found["structures"], sent.ROIContourSequence, strict=True):
        assert len(structure["contours"]) == len(item.ContourSequence)
        for contour, written in zip(structure["contours"], item.ContourSequence, strict=True):
            points = np.array(contour["points"]).reshape(-1, 2)
            index = np.column_stack([np.full(len(points), contour["slice"]), points[:, ::-1]])
            lps = series.volume.grid.points_lps(index)
            assert np.abs(lps - np.array(written.ContourData, float).reshape(-1, 3)).max() < 2e-3  # mm


def test_images_that_were_removed_and_sets_that_are_not_there_are_said(
    page: Page, bring: Callable[..., int]
) -> None:
    number = bring()
    viewer = page.person("vera", ActorRole.VIEWER)
    answer = viewer.get(f"/api/v1/jobs/{number}/contours")
    assert (answer.status_code, "has no structure set" in answer.json()["detail"]) == (404, True)
    for instance in page.node.book.instances_of(number):
        page.node.files.set_aside(instance.file.path)
    gone = viewer.get(f"/api/v1/jobs/{number}/ct")
    assert (gone.status_code, "is gone" in gone.json()["detail"]) == (422, True)
    assert viewer.get(f"/jobs/{number}").status_code == 200


def test_a_strip_shows_each_place_and_each_hole(page: Page) -> None:
    page.node.receive(CtExport(dropped=(2, 3)))
    images = [page.node.files.read(one.file.path) for one in page.node.book.instances_of(1)]
    whole = len(images) + 2
    strip = strip_of(images[::-1])
    assert strip is not None
    assert (len(strip.places), strip.missing) == (whole, 2)
    assert [not place.image_uid for place in strip.places[:5]] == [False, False, True, True, False]
    steps = np.diff([place.position_mm for place in strip.places])
    assert np.allclose(steps, strip.spacing_mm)
    assert strip_of(images[:1]) is None
    assert strip_of([]) is None


def test_changes_of_jobs_reach_an_open_page(page: Page) -> None:
    import asyncio

    live: LiveJobs = page.parts.live
    live.start()

    async def listen() -> list[str]:
        changes = live.changes()
        found = [await anext(changes)]
        await asyncio.sleep(0.3)
        page.node.receive(only=slice(0, 2))
        found.append(await asyncio.wait_for(anext(changes), 10))
        return found

    try:
        connected, changed = asyncio.run(listen())
    finally:
        live.stop()
    assert connected.startswith(":")
    assert "event: jobs\ndata: 1\n" in changed
