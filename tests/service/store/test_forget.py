"""A series that came under the wrong patient: it goes whole, and the corrected one comes in under the same UIDs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.application import find_series, forget_all, would_forget
from service.errors import Refused
from service.receive.recovery import recover
from service.store import (
    AuditLog,
    InstanceRecorder,
    JobState,
    NotAllowed,
    PseudonymLink,
    PseudonymRepository,
    RecordOutcome,
    WorkQueue,
)
from service.store.tables.audit_schema import audit_event
from service.store.tables.schema import METADATA
from tests.service.receive.samples import SERIES, STUDY
from tests.service.store.test_lost_database import StoreAndFolder
from tests.support.actors import ADMINISTRATOR, OPERATOR
from tests.support.arrivals import received

OTHER = "1.2.3.99"


@pytest.fixture
def node(tmp_path: Path, empty_database_url: str) -> Iterator[StoreAndFolder]:
    """A node that delivered one series, has research copies of it, and holds another."""
    node = StoreAndFolder(tmp_path / "storage", empty_database_url)
    node.start()
    node.receive()
    node.contoured()
    node.sent()
    node.receive(series=OTHER)
    pseudonyms = PseudonymRepository(node.database)
    pseudonyms.secret("research")
    link = PseudonymLink(
        patient_key="P1",
        pseudonym="R1",
        study_uid="1.2.3",
        study_attributes="{}",
        uids={"2.25.1": SERIES, "2.25.2": "9.9"},
    )
    pseudonyms.remember("research", link)
    yield node
    node.database.close()


def forget(node: StoreAndFolder, **which: str) -> list[object]:
    asked = {"series_uid": None, "patient_id": None, **which}
    series, keys = find_series(node.database, node.files, **asked)
    return list(
        forget_all(
            node.database,
            node.content,
            ADMINISTRATOR,
            series,
            "sent under the wrong patient",
            patient_keys=keys,
        )
    )


def test_a_series_goes_from_every_table_and_from_the_folder_and_the_other_stays(node: StoreAndFolder) -> None:
    series, _ = find_series(node.database, node.files, series_uid=SERIES, patient_id=None)
    (expected,) = would_forget(node.database, ADMINISTRATOR, series)
    (gone,) = forget(node, series_uid=SERIES)
    assert gone == expected
    assert (gone.images, len(gone.jobs), gone.files) == (1, 1, 2)
    assert [(one.destination, one.is_certain) for one in gone.delivered] == [("tps", True)]
    with node.database.reading() as connection:
        for table in METADATA.sorted_tables:
            for name in ("series_uid", "original"):
                if name in table.c:
                    query = select(func.count()).select_from(table).where(table.c[name] == SERIES)
                    assert connection.execute(query).scalar_one() == 0, table.name
            if "job_id" in table.c and table is not audit_event:
                query = select(func.count()).select_from(table).where(table.c.job_id == gone.jobs[0])
                assert connection.execute(query).scalar_one() == 0, table.name
    left = [path for _, found in node.files.folders() for path in found]
    assert left == [one.file.path for one in node.book.instances_of_series(OTHER)]
    last = AuditLog(node.database).entries()[-2].event
    assert (last.kind, last.target, last.actor) == ("deleted", f"series {SERIES}", "administrator")
    assert last.detail == "sent under the wrong patient; tps has 1 objects"
    assert AuditLog(node.database).check().broken == ""


def test_the_corrected_series_is_taken_under_the_same_uids(node: StoreAndFolder) -> None:
    changed = received(1, series=SERIES, study=STUDY, content="corrected")
    with InstanceRecorder(node.database) as recorder:
        assert recorder.record(changed) is not RecordOutcome.NEW
        forget(node, series_uid=SERIES)
        assert recorder.record(changed) is RecordOutcome.NEW
    (job,) = [one for one in node.book.list_jobs() if one.series_uid == SERIES]
    assert (job.version, job.state) == (1, JobState.RECEIVING)


def test_files_whose_unlinking_was_interrupted_do_not_come_back(node: StoreAndFolder, monkeypatch) -> None:
    monkeypatch.setattr(type(node.files), "remove", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        forget(node, series_uid=SERIES)
    with InstanceRecorder(node.database) as recorder:
        found = recover(node.files, node.book, recorder)
    assert found.recorded == ()
    assert node.book.instances_of_series(SERIES) == []


def test_a_patient_is_found_in_the_images_and_loses_the_pseudonym(node: StoreAndFolder) -> None:
    with pytest.raises(Refused, match="nothing is stored"):
        forget(node, patient_id="P")
    assert len(forget(node, patient_id="P1")) == 2
    assert node.book.list_jobs() == []
    assert [path for _, found in node.files.folders() for path in found] == []


def test_a_running_job_is_in_the_way_and_nothing_is_removed(node: StoreAndFolder) -> None:
    (job,) = node.series.open_jobs()
    from tests.service.store.test_lost_database import ORDER

    node.series.close_series(job, ORDER)
    assert WorkQueue(node.database).claim("w", lease_s=60, max_attempts=3) is not None
    with pytest.raises(NotAllowed, match=f"job {job.id} of series {OTHER} is running"):
        forget(node, patient_id="P1")
    assert len(node.book.list_jobs()) == 2
    with pytest.raises(Exception, match="may not forget"):
        forget_all(node.database, node.content, OPERATOR, [], "no")
