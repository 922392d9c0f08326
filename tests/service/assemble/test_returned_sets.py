"""A structure set that a planning system sends back becomes an artifact of the job whose result it revises."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread

from service.assemble import ReturnedSets
from service.config import RetentionSettings
from service.store import (
    ArtifactKind,
    ArtifactRole,
    ArtifactStatus,
    EventKind,
    JobState,
    ReceivedInstance,
    ReturnedSetRepository,
)
from tests.service.retention.test_sweeper import DAY, sweeper
from tests.service.work.test_worker import Server, brainstem_and_larynx, queue_series, worker
from tests.support.destinations import RTSTRUCT, structure_set
from tests.support.small_node import SmallNode


@pytest.fixture
def delivered(small_node: SmallNode) -> SmallNode:
    """A node that contoured a series and delivered its structure set."""
    queue_series(small_node)
    assert worker(small_node, Server(brainstem_and_larynx)).work_one()
    claim = small_node.outbox.claim_delivery("s", lease_s=60)
    assert claim is not None
    assert small_node.outbox.sent(claim)
    small_node.clock.tick(60)
    return small_node


def drawn(
    node: SmallNode, uid: str, *, series: str = "", predecessors: Sequence[str] = (), study: str = ""
) -> ReceivedInstance:
    """Receive a structure set that names a series and predecessors."""
    found = dcmread(BytesIO(structure_set(uid)))
    found.StudyInstanceUID = study or node.job().study_uid
    found.PredecessorStructureSetSequence = [_item(ReferencedSOPInstanceUID=one) for one in predecessors]
    referenced = _item(RTReferencedSeriesSequence=[_item(SeriesInstanceUID=series)])
    found.ReferencedFrameOfReferenceSequence = [_item(RTReferencedStudySequence=[referenced])]
    buffer = BytesIO()
    found.save_as(buffer)
    received = ReceivedInstance(
        sop_instance_uid=uid,
        sop_class_uid=RTSTRUCT,
        series_uid=found.SeriesInstanceUID,
        study_uid=found.StudyInstanceUID,
        modality="RTSTRUCT",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_aet="TPS",
        called_aet="CONTOURNODE",
        peer_host="127.0.0.1",
        file=node.files.put(uid, buffer.getvalue()),
    )
    node.recorder.record(received)
    return received


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def poll(node: SmallNode) -> int:
    return ReturnedSets(repository=ReturnedSetRepository(node.database), content=node.content).poll_once()


def returned(node: SmallNode) -> list[ArtifactStatus]:
    return [one for one in node.book.artifacts(node.job().id) if one.role is ArtifactRole.RETURNED]


def own_uid(node: SmallNode) -> str:
    (result,) = node.book.artifacts(node.job().id)
    return result.sop_instance_uid


@pytest.mark.parametrize("how", ["the object itself", "Predecessor Structure Set Sequence", "its series"])
def test_a_set_that_came_back_is_linked_by_what_it_names(delivered: SmallNode, how: str) -> None:
    own = own_uid(delivered)
    if how == "the object itself":
        received = drawn(delivered, own, series="1.9")
    elif how == "its series":
        received = drawn(delivered, "1.2.3.99", series=delivered.job().series_uid)
    else:
        received = drawn(delivered, "1.2.3.99", series="1.9", predecessors=["1.8", own], study="1.7")

    assert poll(delivered) == 1
    (kept,) = returned(delivered)
    assert (kept.kind, kept.sop_instance_uid) == (ArtifactKind.STRUCTURE_SET, received.sop_instance_uid)
    assert kept.provenance == {"linked_by": how}
    assert delivered.objects.get(kept.path) == delivered.files.read(received.file.path)
    notes = [e.message for e in delivered.book.events(delivered.job().id) if e.kind is EventKind.NOTE]
    assert notes[-1] == f"a structure set was sent back, recognised by {how}: artifact {kept.id}"
    assert delivered.job().state is JobState.DONE
    assert poll(delivered) == 0


def test_a_set_of_another_series_or_drawn_before_the_result_belongs_to_no_job(small_node: SmallNode) -> None:
    queue_series(small_node)
    drawn(small_node, "1.2.3.98", series=small_node.job().series_uid)  # the node has no result yet
    small_node.clock.tick(60)
    assert worker(small_node, Server(brainstem_and_larynx)).work_one()
    small_node.clock.tick(60)
    drawn(small_node, "1.2.3.99", series="1.9")
    drawn(small_node, "1.2.3.97", series=small_node.job().series_uid, study="1.7")
    assert poll(small_node) == 0
    assert returned(small_node) == []


def test_a_damaged_or_senseless_set_is_passed_over_and_the_next_is_found(delivered: SmallNode) -> None:
    series = delivered.job().series_uid
    lost = drawn(delivered, "1.2.3.96", series=series)
    delivered.files.set_aside(lost.file.path)
    nonsense = delivered.files.put("1.2.3.95", b"no DICOM")
    delivered.recorder.record(replace(lost, sop_instance_uid="1.2.3.95", file=nonsense))
    drawn(delivered, "1.2.3.99", series=series)
    assert poll(delivered) == 1


def test_two_that_look_at_once_keep_a_set_once(delivered: SmallNode) -> None:
    drawn(delivered, "1.2.3.99", series=delivered.job().series_uid)
    one, other = (ReturnedSetRepository(delivered.database) for _ in range(2))
    batch = one.unseen()
    assert batch is not None
    assert ReturnedSets(repository=other, content=delivered.content).poll_once() == 1
    late = ReturnedSets(repository=one, content=delivered.content)
    assert [late._keep(received) for received in batch.sets] == [False]
    one.seen(batch.up_to)
    assert len(returned(delivered)) == 1


def test_retention_takes_what_was_received_and_keeps_the_artifact_its_own_time(delivered: SmallNode) -> None:
    delivered.clock.tick(20 * DAY)
    received = drawn(delivered, "1.2.3.99", series=delivered.job().series_uid)
    poll(delivered)
    sweep = sweeper(delivered, RetentionSettings(other_objects_days=30, results_days=90))
    delivered.clock.tick(75 * DAY)  # 95 days after the delivery, 75 after it came back
    sweep.sweep()
    gone = {one.role: one.removed_at is not None for one in delivered.book.artifacts(delivered.job().id)}
    assert gone == {ArtifactRole.RESULT: True, ArtifactRole.RETURNED: False}
    assert not delivered.files.verify(received.file)
    (kept,) = returned(delivered)
    assert delivered.objects.get(kept.path)
    assert [one.name for one in sweep.keeper.to_verify(job_id=delivered.job().id)] == [
        f"job {delivered.job().id}, returned structure set"
    ]
    delivered.clock.tick(20 * DAY)
    sweep.sweep()
    assert [one.removed_at is not None for one in returned(delivered)] == [True]
