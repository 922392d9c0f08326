"""A database that was lost, emptied or is older than its storage folder.

Nothing is sent twice without a person's word.
"""

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from service.application import decide_recovery, recovery_question
from service.dimse import file_meta
from service.dimse.file_meta import FileMeta, TransferRoute
from service.receive.recovery import recover
from service.store import (
    AuditEvent,
    AuditKind,
    AuditLog,
    ContouringOrder,
    Database,
    FileStore,
    InstanceRecorder,
    JobRepository,
    JobState,
    NodeIdentity,
    NotAllowed,
    Outbox,
    SeriesRepository,
    WorkQueue,
    upgrade,
)
from service.store.node import identity
from service.store.node.folder_mark import FolderMark, read_mark
from service.store.objects import StoredContent, keep_artifact
from tests.service.receive.samples import CT, EXPLICIT, SERIES, ct_slice, encoded
from tests.support.actors import ADMINISTRATOR
from tests.support.arrivals import structure_set

ORDER = ContouringOrder(rule="hn", model="hn_oar", model_version=1, priority=50, template_sha256="ab" * 32)


class StoreAndFolder:
    """A database and a storage folder, as the roles see them."""

    def __init__(self, root: Path, url: str) -> None:
        upgrade(url)
        self.root = root
        self.database = Database(url)
        self.files = FileStore(root)
        self.content = StoredContent.in_folder(root)
        self.book = JobRepository(self.database)
        self.series = SeriesRepository(self.database)
        self.identity = NodeIdentity(self.database, root)

    def start(self) -> str:
        """What serve and the receiver do at a start."""
        reason = self.identity.settle()
        self.identity.begin_recovery()
        with InstanceRecorder(self.database) as recorder:
            recover(self.files, self.book, recorder)
        self.identity.end_recovery()
        return reason

    def receive(self, number: int = 1, series: str = SERIES) -> str:
        """A file as the receiver writes it, and its row."""
        uid = f"{series}.{number}"
        route = TransferRoute(calling_aet="SCANNER", called_aet="NODE", peer_host="10.0.0.7")
        meta = FileMeta(sop_class_uid=CT, sop_instance_uid=uid, transfer_syntax_uid=EXPLICIT, origin=route)
        image = ct_slice(number, series_uid=series)
        path = self.files.put(uid, encoded(image, EXPLICIT), header=file_meta.encode(meta)).path
        with InstanceRecorder(self.database) as recorder:
            recover(self.files, self.book, recorder)
        return path

    def contoured(self, series: str = SERIES) -> str:
        """Close the open series, make a result for the TPS; the UID from which its objects' UIDs come."""
        (job,) = [one for one in self.series.open_jobs() if one.series_uid == series]
        self.series.close_series(job, ORDER)
        claim = WorkQueue(self.database).claim("w", lease_s=60, max_attempts=3)
        assert claim is not None
        file = keep_artifact(self.content.published, b"a structure set" + claim.uid.bytes)
        assert WorkQueue(self.database).finish(claim, made=[structure_set(file, "tps")])
        return str(claim.uid)

    def sent(self) -> None:
        claim = Outbox(self.database).claim_delivery("s", lease_s=60)
        assert claim is not None
        assert Outbox(self.database).sent(claim)


@pytest.fixture
def node(tmp_path: Path, empty_database_url: str) -> Iterator[StoreAndFolder]:
    """A node that has delivered one series."""
    node = StoreAndFolder(tmp_path / "storage", empty_database_url)
    assert node.start() == ""
    node.receive()
    node.identity.mark()
    yield node
    node.database.close()


@pytest.fixture
def other_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'other.sqlite'}"


def test_a_node_that_starts_again_is_not_held(node: StoreAndFolder) -> None:
    for _ in range(3):
        node.identity.mark()
        assert node.start() == ""
    assert node.identity.why_held() == node.identity.why_not_assembling() == ""
    mark = json.loads((node.root / "node.json").read_text())
    assert (mark["generation"], mark["has_jobs"]) == (4, True)
    assert (node.root / "node.json").stat().st_mode & 0o077 == 0


def test_a_node_of_an_earlier_version_gets_an_identity_and_is_not_held(node: StoreAndFolder) -> None:
    with node.database.writing() as connection:
        connection.execute(text("DELETE FROM node"))
    (node.root / "node.json").unlink()
    assert node.start() == ""
    assert node.identity.why_held() == ""


def test_a_kill_between_database_and_folder_is_no_mismatch(node: StoreAndFolder) -> None:
    with node.database.writing() as connection:
        connection.execute(text("UPDATE node SET generation = generation + 1"))
    assert node.identity.why_held() == ""
    node.identity.mark()
    assert node.start() == ""


def test_a_new_database_beside_files_is_held_and_receives(node: StoreAndFolder, other_url: str) -> None:
    first = node.contoured()
    node.sent()
    node.identity.mark()
    lost = StoreAndFolder(node.root, other_url)
    assert "it is new, or was emptied" in lost.start()
    assert lost.identity.why_held() == lost.identity.why_not_assembling() != ""
    (job,) = lost.series.open_jobs()
    lost.receive(series="1.2.3.99")
    question = recovery_question(lost.database, lost.files, ADMINISTRATOR)
    assert question is not None
    assert ([one.series_uid for one in question.uncertain], [one.series_uid for one in question.new]) == (
        [SERIES],
        ["1.2.3.99"],
    )
    assert lost.start() != ""  # a restart does not release it
    decide_recovery(lost.database, lost.files, lost.identity, ADMINISTRATOR, delivers=False)
    assert lost.book.job(job.id).state is JobState.CANCELLED
    assert [one.series_uid for one in lost.series.open_jobs()] == ["1.2.3.99"]
    assert lost.start() == ""
    assert lost.identity.why_held() == ""
    assert lost.book.job(job.id).state is JobState.CANCELLED
    assert first
    lost.database.close()


def test_what_is_delivered_again_has_the_uids_that_it_had(node: StoreAndFolder, other_url: str) -> None:
    first = node.contoured()
    node.sent()
    node.identity.mark()
    lost = StoreAndFolder(node.root, other_url)
    lost.start()
    decide_recovery(lost.database, lost.files, lost.identity, ADMINISTRATOR, delivers=True)
    assert lost.contoured() == first
    lost.database.close()


def test_uids_follow_what_was_contoured(node: StoreAndFolder, tmp_path: Path) -> None:
    first = node.contoured()
    for name, order in (
        ("model", ContouringOrder(**{**vars(ORDER), "model": "other"})),
        ("version", ContouringOrder(**{**vars(ORDER), "model_version": 2})),
        ("template", ContouringOrder(**{**vars(ORDER), "template_sha256": "cd" * 32})),
        ("nothing", ORDER),
    ):
        other = StoreAndFolder(tmp_path / name, f"sqlite:///{tmp_path / name}.sqlite")
        other.start()
        other.receive()
        (job,) = other.series.open_jobs()
        other.series.close_series(job, order)
        claim = WorkQueue(other.database).claim("w", lease_s=60, max_attempts=3)
        assert claim is not None
        assert (str(claim.uid) == first) is (name == "nothing")
        other.database.close()


def test_no_decision_before_every_file_has_its_row(node: StoreAndFolder, other_url: str) -> None:
    lost = StoreAndFolder(node.root, other_url)
    assert lost.identity.settle() != ""
    for delivers in (False, True):
        with pytest.raises(NotAllowed, match="not all recorded yet"):
            decide_recovery(lost.database, lost.files, lost.identity, ADMINISTRATOR, delivers=delivers)
    lost.start()
    decide_recovery(lost.database, lost.files, lost.identity, ADMINISTRATOR, delivers=False)
    with pytest.raises(NotAllowed, match="not held"):
        decide_recovery(lost.database, lost.files, lost.identity, ADMINISTRATOR, delivers=True)
    lost.database.close()


def test_a_database_that_was_emptied_is_held(node: StoreAndFolder) -> None:
    with node.database.writing() as connection:
        for table in ("instance_source", "job_event", "instance", "job"):
            connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
    assert "emptied" in node.start()


def test_an_older_database_is_held_and_its_deliveries_wait(tmp_path: Path) -> None:
    place = tmp_path / "node.sqlite"
    node = StoreAndFolder(tmp_path / "storage", f"sqlite:///{place}")
    node.start()
    node.receive()
    node.contoured()
    node.identity.mark()
    node.database.close()
    shutil.copy(place, tmp_path / "yesterday.sqlite")
    node = StoreAndFolder(tmp_path / "storage", f"sqlite:///{place}")
    node.sent()
    node.receive(series="1.2.3.99")
    AuditLog(node.database).append([(node.database.clock(), AuditEvent(kind=AuditKind.STARTED))])
    node.identity.mark()
    node.database.close()
    shutil.copy(tmp_path / "yesterday.sqlite", place)
    old = StoreAndFolder(tmp_path / "storage", f"sqlite:///{place}")
    assert "older than the storage folder" in old.identity.why_held()  # while it runs, too
    assert "older than the storage folder" in old.start()
    question = recovery_question(old.database, old.files, ADMINISTRATOR)
    assert question is not None
    assert {(one.series_uid, one.state) for one in question.uncertain} == {
        (SERIES, JobState.DELIVERING),
        ("1.2.3.99", JobState.RECEIVING),
    }
    decide_recovery(old.database, old.files, old.identity, ADMINISTRATOR, delivers=False)
    assert Outbox(old.database).claim_delivery("s", lease_s=60) is None
    assert old.series.open_jobs() == []
    assert old.start() == ""
    old.database.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tree: tree | {"identity": "another"}, "belong to two nodes"),
        (lambda tree: tree | {"generation": tree["generation"] - 2}, "storage folder is older"),
        (lambda tree: tree | {"generation": tree["generation"] + 1}, "database is older"),
        (lambda tree: tree | {"trail": {"id": 99, "chain": "x"}}, "audit trail"),
        (lambda _: "cut", "no readable node.json"),
        (None, "no readable node.json"),
    ],
)
def test_a_folder_that_is_not_the_databases_is_held(node: StoreAndFolder, change, said: str) -> None:
    for _ in range(3):
        node.identity.mark()
    mark = node.root / "node.json"
    if change is None:
        mark.unlink()
    else:
        mark.write_text(json.dumps(change(json.loads(mark.read_text()))))
    assert said in node.identity.why_held()
    node.identity.mark()  # a held node does not mark
    assert said in node.start()
    decide_recovery(node.database, node.files, node.identity, ADMINISTRATOR, delivers=True)
    assert node.start() == ""
    assert node.identity.why_held() == ""


def test_an_empty_disk_in_the_folders_place_is_held(node: StoreAndFolder, tmp_path: Path) -> None:
    unmounted = StoreAndFolder(tmp_path / "elsewhere", str(node.database._url))
    assert "no readable node.json" in unmounted.identity.settle()
    unmounted.database.close()


def test_series_are_judged_after_recovery(node: StoreAndFolder) -> None:
    node.identity.begin_recovery()
    assert "being recorded" in node.identity.why_not_assembling()
    assert node.identity.why_held() == ""
    node.identity.end_recovery()
    assert node.identity.why_not_assembling() == ""


def test_roles_that_start_at_once_on_a_new_node_do_not_hold_it(
    tmp_path: Path, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = StoreAndFolder(tmp_path / "storage", empty_database_url)

    def slow_read(root: Path) -> FolderMark | None:
        mark = read_mark(root)
        time.sleep(0.05)  # another role makes row and mark meanwhile, where it can
        return mark

    monkeypatch.setattr(identity, "read_mark", slow_read)
    with ThreadPoolExecutor(4) as roles:
        assert list(roles.map(lambda _: new.identity.settle(), range(4))) == [""] * 4
    assert new.identity.why_held() == ""
    new.database.close()
