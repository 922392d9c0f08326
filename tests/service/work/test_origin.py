"""A set of a part of a series and the later, fuller one can be told apart in the planning system."""

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from sqlalchemy import select, update

from imaging.dicom.uids import derived_uid
from service.store import ClaimedDelivery, JobState
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import job
from service.work.origin import label
from tests.service.work.test_worker import Server, brainstem_and_larynx, worker
from tests.support.small_node import SmallNode, settings, small_volume

COUNT = len(small_volume().array_zyx)


def contoured(node: SmallNode) -> tuple[Dataset, ClaimedDelivery]:
    """The newest series' structure set, as it goes out."""
    node.clock.tick(20)
    node.assembler().poll_once()
    assert node.job().state is JobState.QUEUED, node.job()
    assert worker(node, Server(brainstem_and_larynx)).work_one()
    delivery = node.outbox.claim_delivery("s1", lease_s=60)
    assert delivery is not None
    return dcmread(BytesIO(node.objects.get(delivery.result.path))), delivery


def test_the_set_of_a_slow_senders_whole_series_replaces_that_of_its_first_part(
    small_node: SmallNode,
) -> None:
    small_node.receive(only=slice(0, COUNT - 4))
    part, delivery = contoured(small_node)
    assert small_node.outbox.sent(delivery)
    assert part.StructureSetLabel == "CN hn_oar PART?"  # its Instance Numbers do not begin at 1
    assert (
        f"From {COUNT - 4} images; whether the series has more is not known." in part.StructureSetDescription
    )
    assert "May be of a part of the series: Instance Number (0020,0013)" in part.StructureSetDescription
    assert "PredecessorStructureSetSequence" not in part

    small_node.receive(only=slice(COUNT - 4, None))
    whole, _ = contoured(small_node)

    assert whole.StructureSetLabel == "CN hn_oar v2"
    (replaced,) = whole.PredecessorStructureSetSequence
    assert replaced.ReferencedSOPInstanceUID == part.SOPInstanceUID
    assert replaced.ReferencedSOPClassUID == part.SOPClassUID
    assert f"From {COUNT} images; whether the series has more is not known." in whole.StructureSetDescription
    assert "Version 2, from more or other images or a new run: replaces the set of job 1." in (
        whole.StructureSetDescription
    )
    assert "May be of a part" not in whole.StructureSetDescription
    assert whole.SOPInstanceUID != part.SOPInstanceUID


def test_a_set_of_an_earlier_version_that_recorded_no_uid_is_known_by_its_path(small_node: SmallNode) -> None:
    small_node.receive(only=slice(0, COUNT - 4))
    part, delivery = contoured(small_node)
    assert small_node.outbox.sent(delivery)
    with small_node.database.writing() as connection:
        uid = connection.execute(select(job.c.result_uid)).scalar_one()
        stored_as = derived_uid("structure set standard", str(uid))
        older = small_node.files.put(stored_as, small_node.objects.get(delivery.result.path))
        connection.execute(update(artifact).values(sop_instance_uid="", path=older.path))
    small_node.receive(only=slice(COUNT - 4, None))
    whole, _ = contoured(small_node)
    assert whole.PredecessorStructureSetSequence[0].ReferencedSOPInstanceUID == part.SOPInstanceUID


def test_a_set_that_nobody_got_is_not_replaced(small_node: SmallNode) -> None:
    small_node.receive(only=slice(0, COUNT - 4))
    small_node.clock.tick(20)
    small_node.assembler().poll_once()
    assert worker(small_node, Server(brainstem_and_larynx)).work_one()
    small_node.receive(only=slice(COUNT - 4, None))
    whole, _ = contoured(small_node)
    assert whole.StructureSetLabel == "CN hn_oar"
    assert "PredecessorStructureSetSequence" not in whole


def test_merged_halves_replace_the_set_of_the_half_that_came_first(small_node: SmallNode) -> None:
    merging = settings(
        rules=[{"name": "head-neck", "model": "hn_oar", "destinations": ["tps"], "split_series": "merge"}]
    )
    small_node.receive(only=slice(0, 7))
    half, delivery = contoured(small_node)
    assert small_node.outbox.sent(delivery)
    small_node.receive(only=slice(7, None), called="CN_B")
    small_node.clock.tick(20)
    small_node.assembler(merging).poll_once()
    whole, _ = contoured(small_node)
    assert whole.PredecessorStructureSetSequence[0].ReferencedSOPInstanceUID == half.SOPInstanceUID
    assert (
        len(
            whole.ReferencedFrameOfReferenceSequence[0]
            .RTReferencedStudySequence[0]
            .RTReferencedSeriesSequence[0]
            .ContourImageSequence
        )
        == COUNT
    )


def test_the_same_series_of_another_study_has_a_set_of_its_own(small_node: SmallNode) -> None:
    def moved(image: Dataset) -> None:
        image.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.77"

    small_node.receive()
    first, delivery = contoured(small_node)
    assert small_node.outbox.sent(delivery)
    small_node.receive(change=moved)
    second, _ = contoured(small_node)
    assert second.StudyInstanceUID == "1.2.826.0.1.3680043.8.498.77" != first.StudyInstanceUID
    assert "PredecessorStructureSetSequence" not in second
    assert second.StructureSetLabel == "CN hn_oar"


@pytest.mark.parametrize(
    ("model", "set_version", "doubt", "expected"),
    [
        ("hn_oar", 1, "", "CN hn_oar"),
        ("hn_oar", 12, "", "CN hn_oar v12"),
        ("hn_oar", 1, "a doubt", "CN hn_oar PART?"),
        ("hn_oar", 2, "a doubt", "CN hn_o v2 PART?"),
        ("head-neck-oar-large", 3, "", "CN head-neck- v3"),
    ],
)
def test_version_and_doubt_are_never_cut_off_the_label(
    small_node: SmallNode, model: str, set_version: int, doubt: str, expected: str
) -> None:
    small_node.receive()
    small_node.clock.tick(20)
    small_node.assembler().poll_once()
    claim = small_node.queue.claim("w1", lease_s=60, max_attempts=3)
    assert claim is not None
    assert label(replace(claim, set_version=set_version, doubt=doubt), model) == expected
    assert len(expected) <= 16
