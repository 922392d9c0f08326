import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_role, evt

from service.audit import AuditWriter
from service.config import Confirm, Peer, ReceiveSettings, Settings
from service.receive.server import Receiver
from service.send import delivery_policy
from service.store import AuditLog, Commitments, FileStore, InstanceRecorder, JobState
from tests.support import orthanc as orthanc_support
from tests.support.destinations import EXPLICIT, IMPLICIT, RTSTRUCT
from tests.support.office import Office, eventually, sender, settings

pytestmark = pytest.mark.network
COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
needs_orthanc = pytest.mark.skipif(
    orthanc_support.PROGRAM is None, reason="Orthanc is not installed: apt-get install orthanc"
)


@contextmanager
def inward_proxy(office: Office) -> Iterator[int]:
    """The node's receiver, for reports on associations of the peer's own; gives its port."""
    known = Settings(receive=ReceiveSettings(host="127.0.0.1", port=0, ae_title="NODE"))
    files = FileStore(office.path.parent / "received")
    with (
        InstanceRecorder(office.database) as recorder,
        AuditWriter(AuditLog(office.database), role="receive") as trail,
        Receiver(known, files, recorder, trail, commitments=Commitments(office.database)) as receiver,
    ):
        yield receiver.port


@dataclass
class Archive:
    """A storage and commitment SCP, and how it answers."""

    n_action: int = 0
    failures: list[int | None] = field(
        default_factory=list
    )  # of each report in turn; None: it keeps the object
    reports_to: int | None = None  # the node's port; None: on the association of the request
    is_silent: bool = False
    has_role: bool = True
    found: list[bool] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


@pytest.fixture
def start_archive() -> Iterator[Callable[[Archive], Peer]]:
    with ExitStack() as stack:

        def start(archive: Archive) -> Peer:
            entity = AE("ARCHIVE")
            for uid in (RTSTRUCT, COMMITMENT, FIND):
                entity.add_supported_context(uid, [EXPLICIT, IMPLICIT])

            def store(event: evt.Event) -> int:
                archive.stored.append(str(event.request.AffectedSOPInstanceUID))
                return 0

            def action(event: evt.Event) -> tuple[int, None]:
                asked = event.action_information
                archive.asked.append(str(asked.TransactionUID))
                if archive.n_action == 0 and not archive.is_silent:
                    failure = archive.failures.pop(0) if archive.failures else None
                    threading.Timer(0.05, _report, (archive, event, _result(asked, failure))).start()
                return archive.n_action, None

            def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
                if archive.found.pop(0):
                    yield 0xFF00, event.identifier

            server = entity.start_server(
                ("127.0.0.1", 0),
                block=False,
                evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_N_ACTION, action), (evt.EVT_C_FIND, find)],
            )
            stack.callback(server.shutdown)
            return Peer(
                ae_title="ARCHIVE",
                host="127.0.0.1",
                port=server.server_address[1],
                confirm="commitment",
                confirm_s=1,
            )

        yield start


def _result(asked: Dataset, failure: int | None) -> Dataset:
    result = Dataset()
    result.TransactionUID = asked.TransactionUID
    (item,) = asked.ReferencedSOPSequence
    if failure is None:
        result.ReferencedSOPSequence = [item]
    else:
        item.FailureReason = failure
        result.FailedSOPSequence = [item]
    return result


def _report(archive: Archive, event: evt.Event, result: Dataset) -> None:
    kind = 2 if "FailedSOPSequence" in result else 1
    if archive.reports_to is None:
        event.assoc.send_n_event_report(result, kind, COMMITMENT, INSTANCE)
        return
    entity = AE("ARCHIVE")
    entity.add_requested_context(COMMITMENT, [EXPLICIT])
    roles = [build_role(COMMITMENT, scp_role=True)] if archive.has_role else []
    association = entity.associate("127.0.0.1", archive.reports_to, ae_title="NODE", ext_neg=roles)
    assert association.is_established
    status, _ = association.send_n_event_report(result, kind, COMMITMENT, INSTANCE)
    archive.answers.append(int(status.Status))
    association.release()


def test_the_job_is_done_when_the_archive_commits_itself_on_the_same_association(office, start_archive):
    archive = Archive()
    job = office.delivering(1, "archive")
    with sender(office, settings({"archive": start_archive(archive)})):
        eventually(lambda: office.state(job) is JobState.DONE)
    (one,) = office.book.deliveries(job)
    assert (one.confirmation_requests, one.confirmed_at is not None) == (1, True)
    assert "confirmed: archive: it commits to keeping the object" in office.told(job)


def test_a_report_on_an_association_of_the_archive_s_own_is_taken(office, start_archive):
    archive = Archive()
    job = office.delivering(1, "archive")
    with inward_proxy(office) as port, sender(office, settings({"archive": start_archive(archive)})):
        archive.reports_to = port
        eventually(lambda: office.state(job) is JobState.DONE)
        eventually(lambda: archive.answers == [0])
    assert "confirmed: archive" in office.told(job)


def test_until_it_is_confirmed_the_job_is_delivering_and_fails_in_the_end(office, start_archive, monkeypatch):
    monkeypatch.setattr(delivery_policy, "MOST_ASKS", 2)
    archive = Archive(is_silent=True)
    job = office.delivering(1, "archive")
    with sender(office, settings({"archive": start_archive(archive)}, timeout_s=1)):
        eventually(lambda: "1 unconfirmed" in office.book.job(job).destinations)
        assert office.state(job) is JobState.DELIVERING
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert len(archive.stored) == 1
    assert len(set(archive.asked)) == 2
    assert "has not reported" in office.book.job(job).reason


def test_an_object_that_the_archive_does_not_have_is_sent_again(office, start_archive):
    archive = Archive(failures=[0x0112, None])
    job = office.delivering(1, "archive")
    with sender(office, settings({"archive": start_archive(archive)})):
        eventually(lambda: office.state(job) is JobState.DONE)
    assert archive.stored == ["1.2.3.1.9"] * 2
    assert "does not commit to keeping it: 0x0112 no such object instance" in office.told(job)


def test_an_object_that_the_archive_will_never_keep_fails_the_job(office, start_archive):
    archive = Archive(failures=[0x0119])
    job = office.delivering(1, "archive")
    with sender(office, settings({"archive": start_archive(archive)})):
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert "0x0119 class-instance conflict" in office.book.job(job).reason


def test_an_archive_that_commits_itself_to_nothing_says_so_at_once(office, start_archive):
    archive = Archive(n_action=0x0122)
    job = office.delivering(1, "archive")
    with sender(office, settings({"archive": start_archive(archive)})):
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert "cannot be asked to confirm it: 0x0122" in office.book.job(job).reason


def test_a_destination_without_the_service_is_told_apart(office, start_destination):
    tps = start_destination()
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps.peer.model_copy(update={"confirm": Confirm.COMMITMENT})})):
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert "Storage Commitment Push Model" in office.book.job(job).reason


def test_a_query_confirms_what_it_finds_and_asks_again_for_what_it_does_not(office, start_archive):
    archive = Archive(found=[False, True])
    job = office.delivering(1, "archive")
    peer = start_archive(archive).model_copy(update={"confirm": Confirm.QUERY})
    with sender(office, settings({"archive": peer})):
        eventually(lambda: office.state(job) is JobState.DONE)
    assert "does not find it" in office.told(job)
    assert len(archive.stored) == 1


def test_a_report_that_nobody_asked_for_and_one_that_is_none_are_refused(office):
    entity = AE("ARCHIVE")
    entity.add_requested_context(COMMITMENT, [IMPLICIT])
    stranger = Dataset()
    stranger.TransactionUID = "1.2.3"
    with inward_proxy(office) as port:
        association = entity.associate("127.0.0.1", port, ae_title="NODE")
        status, _ = association.send_n_event_report(stranger, 1, COMMITMENT, INSTANCE)
        assert (status.Status, status.EventTypeID) == (0x0110, 1)
        del stranger.TransactionUID
        stranger.RetrieveAETitle = "ARCHIVE"
        status, _ = association.send_n_event_report(stranger, 1, COMMITMENT, INSTANCE)
        assert status.Status == 0x0110
        association.release()


def test_a_report_without_role_selection_is_taken_too(office, start_archive):
    archive = Archive(has_role=False)
    job = office.delivering(1, "archive")
    with inward_proxy(office) as port, sender(office, settings({"archive": start_archive(archive)})):
        archive.reports_to = port
        eventually(lambda: archive.answers == [0])
        eventually(lambda: office.state(job) is JobState.DONE)


@needs_orthanc
def test_orthanc_commits_itself_and_finds_what_it_took(office, tmp_path):
    with (
        inward_proxy(office) as port,
        orthanc_support.orthanc(tmp_path / "orthanc", {"node": ["NODE", "127.0.0.1", port]}) as archive,
    ):
        peers = {
            how: Peer(ae_title="ORTHANC", host="127.0.0.1", port=archive.port, confirm=how, confirm_s=20)
            for how in ("commitment", "query")
        }
        jobs = [office.delivering(1, "commitment"), office.delivering(2, "query")]
        with sender(office, settings(dict(peers), timeout_s=20)):
            eventually(lambda: all(office.state(job) is JobState.DONE for job in jobs), within_s=60)
        assert sorted(archive.instances()) == ["1.2.3.1.9", "1.2.3.2.9"]
    assert "confirmed: commitment: it commits to keeping the object" in office.told(jobs[0])
    assert "confirmed: query: it finds the object" in office.told(jobs[1])
