"""CT in, structure set out, through real processes, sockets, SQLite or Postgres, and Triton."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from evaluation.overlap import dice
from imaging.ct.series import SourceFile, read_ct
from imaging.rtstruct.masks import masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.structures import CATALOGUE
from imaging.volumes.volume import Masks
from inference.ports import free_port
from service.demo.peers import send_series
from service.store import JobState
from tests.support.node import REPOSITORY, Node, Tps, until, write_settings

pytestmark = [pytest.mark.network, pytest.mark.triton]
Series = Callable[[str], tuple[SourceFile, ...]]


def test_a_series_comes_back_as_a_structure_set_of_that_patient(
    node: Node, tps: Tps, series: Series, masks: Masks
) -> None:
    files = series("E2E-1")
    send(node, files)

    job = node.ended(series_uid(files))

    assert job.state is JobState.DONE, job
    (structure_set,) = tps.received
    dataset = dcmread(BytesIO(structure_set))
    assert dataset.PatientID == "E2E-1"
    assert dataset.ApprovalStatus == "UNAPPROVED"
    names = {roi.ROIName for roi in dataset.StructureSetROISequence}
    assert {"Brainstem", "SpinalCord", "Parotid_L", "Parotid_R", "Bone_Mandible"} <= names
    assert "IMPLAUSIBLE" not in dataset.StructureSetDescription
    assert_structures_lie_where_the_phantom_has_them(structure_set, files, masks)


def test_the_same_series_twice_is_one_structure_set(node: Node, tps: Tps, series: Series) -> None:
    files = series("E2E-TWICE")
    send(node, files)
    node.ended(series_uid(files))

    send(node, files)

    until(lambda: any(e.kind.value == "sent again" for e in events(node, files)), why="the node noticed")
    assert [job.state for job in node.jobs(series_uid(files))] == [JobState.DONE]
    assert len(tps.received) == 1


def test_half_a_series_waits_and_says_what_is_missing_until_the_rest_comes(
    node: Node, tps: Tps, series: Series
) -> None:
    files = series("E2E-HALF")
    send(node, files[:30] + files[40:])

    waiting = node.in_state(series_uid(files), JobState.WAITING)
    assert "10 slices" in waiting.reason, waiting.reason
    assert tps.received == []

    send(node, files[30:40])
    assert node.ended(series_uid(files)).state is JobState.DONE
    assert len(tps.received) == 1


def test_a_late_slice_makes_a_new_version_and_the_old_job_stays_to_be_read(
    node: Node, tps: Tps, series: Series
) -> None:
    files = series("E2E-LATE")
    send(node, files[:-1])
    first = node.ended(series_uid(files))

    send(node, files[-1:])

    until(lambda: len(node.jobs(series_uid(files))) == 2, why="a second version")
    second = node.ended(series_uid(files))
    assert (first.version, second.version) == (1, 2)
    assert second.state is JobState.DONE
    assert len(tps.sop_instance_uids()) == 2


def test_two_senders_at_once_each_get_their_patient_contoured(node: Node, tps: Tps, series: Series) -> None:
    both = [series("E2E-A"), series("E2E-B")]
    threads = [threading.Thread(target=send, args=(node, files)) for files in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [node.ended(series_uid(files)).state for files in both] == [JobState.DONE] * 2
    assert {str(dcmread(BytesIO(data)).PatientID) for data in tps.received} == {"E2E-A", "E2E-B"}


def test_a_model_server_that_is_killed_delays_a_job_and_fails_none(
    node: Node, tps: Tps, series: Series
) -> None:
    files = series("E2E-TRITON")
    with node.without("triton"):
        send(node, files)
        until(lambda: "postponed" in {event.kind.value for event in events(node, files)}, why="the job waits")

    job = node.ended(series_uid(files))

    assert job.state is JobState.DONE, job
    assert job.attempts == 1
    assert len(tps.received) == 1


@pytest.mark.parametrize("role", ["receive", "assemble", "work", "send"])
def test_a_role_killed_in_the_middle_loses_nothing_and_sends_nothing_twice(
    node: Node, tps: Tps, series: Series, role: str
) -> None:
    files = series(f"E2E-KILL-{role}")
    send(node, files)
    if role == "work":
        node.in_state(series_uid(files), JobState.RUNNING)
    node.kill(role)

    job = node.ended(series_uid(files))

    assert job.state is JobState.DONE, job
    assert job.slice_count == len(files)
    assert len(tps.sop_instance_uids()) == 1


def test_a_node_killed_whole_goes_on_where_it_stood(node: Node, tps: Tps, series: Series) -> None:
    files = series("E2E-KILL-ALL")
    send(node, files)
    node.in_state(series_uid(files), JobState.RUNNING)
    node.kill("serve")

    node.start()

    assert node.ended(series_uid(files)).state is JobState.DONE
    assert len(tps.sop_instance_uids()) == 1


def test_a_destination_that_is_down_gets_the_set_once_when_it_is_back(
    node: Node, tps: Tps, series: Series
) -> None:
    tps.status = 0xA700
    files = series("E2E-DOWN")
    send(node, files)
    until(lambda: len(tps.received) >= 2, seconds=120, why="the delivery is tried again")

    tps.status = 0x0000

    assert node.ended(series_uid(files)).state is JobState.DONE
    assert len(tps.sop_instance_uids()) == 1


def test_a_destination_that_refuses_for_good_is_not_asked_again_and_the_admin_reads_why(
    node: Node, tps: Tps, series: Series
) -> None:
    tps.status = 0xA900
    files = series("E2E-NEVER")
    send(node, files)

    job = node.ended(series_uid(files))

    assert job.state is JobState.FAILED
    assert len(tps.received) == 1
    assert "A900" in job.destinations


def test_the_admin_reads_and_orders_on_the_command_line(node: Node, tps: Tps, series: Series) -> None:
    files = series("E2E-CLI")
    send(node, files)
    job = node.ended(series_uid(files))

    row = json.loads(contour_node(node, "jobs", "--json").stdout)[0]
    assert (row["id"], row["state"]) == (job.id, "done")
    assert (
        json.loads(contour_node(node, "show", str(job.id), "--json").stdout)["deliveries"][0]["state"]
        == "sent"
    )
    assert "E2E-CLI" not in contour_node(node, "events", str(job.id)).stdout
    assert contour_node(node, "echo", "tps").returncode == 0
    assert contour_node(node, "check").returncode == 0
    assert contour_node(node, "show", "999", expect=1).stderr.startswith("contour-node: ")

    rerun = json.loads(contour_node(node, "rerun", str(job.id), "--json").stdout)
    assert rerun["job"] != job.id
    until(lambda: len(tps.sop_instance_uids()) == 2, seconds=120, why="the second version arrives")


@pytest.mark.database
def test_the_node_runs_on_postgres(tmp_path: Path, tps: Tps, series: Series, postgres_url: str) -> None:
    node = write_settings(tmp_path, tps_port=tps.port, port=free_port(), database_url=postgres_url)
    node.start()
    files = series("E2E-PG")
    send(node, files)
    try:
        assert node.ended(series_uid(files)).state is JobState.DONE
        assert len(tps.received) == 1
    finally:
        node.stop()


def send(node: Node, files: tuple[SourceFile, ...]) -> None:
    send_series(files, node.port, "CONTOURNODE", lambda _number: None)


def series_uid(files: tuple[SourceFile, ...]) -> str:
    return str(dcmread(BytesIO(files[0].data), specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)


def events(node: Node, files: tuple[SourceFile, ...]) -> list:
    with node.book() as book:
        return [
            event for job in book.list_jobs(series_uid=series_uid(files)) for event in book.events(job.id)
        ]


def contour_node(node: Node, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "service", *words, "--settings", str(node.settings_file)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expect, done.stderr
    return done


def assert_structures_lie_where_the_phantom_has_them(
    structure_set: bytes, files: tuple[SourceFile, ...], masks: Masks
) -> None:
    """Dice of at least 0.5 with the phantom's own masks: no mirrored, shifted or mixed-up structure passes."""
    found = read_structure_set(structure_set)
    ours = masks_on_grid(found, read_ct(files))
    numbers = {roi.name: roi.number for roi in found.rois}
    for code in ("Brainstem", "SpinalCord", "Parotid_L", "Parotid_R", "Mandible"):
        number = numbers[CATALOGUE[code].name]
        shape = masks.grid.shape_zyx
        assert dice(ours.by_number[number].full(shape), masks.by_code[code].full(shape)) >= 0.5, code
