"""What the trail has of objects on their way: the same by C-STORE and STOW-RS, for results and failure reports."""

from xml.etree import ElementTree

import pytest

from service.audit.forwarder import forward
from service.config import Settings, WebDestination
from service.store import (
    ArtifactKind,
    AuditKind,
    AuditLog,
    AuditOutcome,
    FailureReportQueue,
    JobState,
    NewArtifact,
)
from service.store.objects import keep_artifact
from tests.service.audit.test_forwarder import HEAD, collector
from tests.support import orthanc as orthanc_support
from tests.support.audit_schema import violations
from tests.support.destinations import Behaviour, structure_set
from tests.support.office import Office, eventually, sender, settings

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(
        orthanc_support.PROGRAM is None or orthanc_support.DICOMWEB is None,
        reason="Orthanc's DICOMweb is not installed: apt-get install orthanc-dicomweb",
    ),
]
OK, FAILED = AuditOutcome.SUCCESS, AuditOutcome.SERIOUS_FAILURE
BEGUN, TRANSFERRED = "110102", "110104"


def test_results_and_failure_notices_leave_the_same_events_by_either_way(
    office: Office, start_destination, tmp_path
) -> None:
    tps = start_destination().peer
    with orthanc_support.orthanc(tmp_path / "orthanc", {}) as archive:
        url = f"http://127.0.0.1:{archive.http_port}/dicom-web"
        known = settings({"tps": tps, "web": WebDestination(url=url, allow_http=True)}, timeout_s=20)
        done, failed = office.delivering(1, "tps", "web"), office.delivering(2, "gone")
        with sender(office, known):
            eventually(lambda: office.state(done) is JobState.DONE, within_s=60)
            eventually(lambda: office.state(failed) is JobState.FAILED, within_s=60)
            tell(office, "tps", "web")
            eventually(lambda: reports_sent(office, failed) == 2, within_s=60)
        assert sorted(archive.instances()) == ["1.2.3.1.9", "1.2.3.2.10"]
    assert trail(office, done) == {
        name: [(AuditKind.SENDING, OK, ""), (AuditKind.SENT, OK, "")] for name in ("tps", "web")
    }
    notice = [(AuditKind.SENDING, OK, "failure report"), (AuditKind.SENT, OK, "failure report")]
    assert trail(office, failed) == {
        "gone": [(AuditKind.SENDING, OK, ""), (AuditKind.SENT, FAILED, "")],
        "tps": notice,
        "web": notice,
    }
    by_dimse, by_web = ("tps", "AETITLES=TPS", "127.0.0.1", "2"), ("web", None, url, "5")
    nobody = ("gone", None, None, None)
    assert forwarded(office, known) == sorted(
        [(code, "0", to) for code in (BEGUN, TRANSFERRED) for to in (by_dimse, by_web) for _ in range(2)]
        + [(BEGUN, "0", nobody), (TRANSFERRED, "8", nobody)],
        key=str,
    )


def test_one_that_is_tried_again_begins_once_and_ends_once(office: Office, start_destination) -> None:
    tps = start_destination(Behaviour(status=lambda _: 0xA700)).peer
    job = office.delivering(1, "tps")
    with sender(office, settings({"tps": tps}, max_attempts=3)):
        eventually(lambda: office.state(job) is JobState.FAILED)
    assert trail(office, job) == {"tps": [(AuditKind.SENDING, OK, ""), (AuditKind.SENT, FAILED, "")]}


def tell(office: Office, *destinations: str) -> None:
    """Order failure reports for the one job that failed for good."""
    reports = FailureReportQueue(office.database)
    failure = reports.next_failure()
    assert failure is not None
    page = keep_artifact(office.objects, structure_set("1.2.3.2.10"))
    assert reports.send(
        failure, [NewArtifact(kind=ArtifactKind.CAPTURE, file=page, destinations=destinations)], "told"
    )


def reports_sent(office: Office, job_id: int) -> int:
    return sum(one.state == "sent" for one in office.book.deliveries(job_id))


def trail(office: Office, job_id: int) -> dict[str, list[tuple[AuditKind, AuditOutcome, str]]]:
    """What the sender left in the trail about a job, by destination, in order."""
    found: dict[str, list[tuple[AuditKind, AuditOutcome, str]]] = {}
    for event in (entry.event for entry in AuditLog(office.database).entries()):
        if event.role == "send" and event.job_id == job_id:
            assert (event.study_uid, event.instance_count) == ("1.2.3", 1)
            found.setdefault(event.target, []).append((event.kind, event.outcome, event.detail))
    return found


def forwarded(office: Office, known: Settings) -> list[tuple[str, str, tuple[str | None, ...]]]:
    """What a collector gets of them: event, outcome, and the destination as it is named there."""
    with collector() as repository:
        syslog = {"host": "127.0.0.1", "port": repository.port, "transport": "tcp"}
        whole = known.model_copy(
            update={"audit": Settings.model_validate({"audit": {"syslog": syslog}}).audit}
        )
        assert whole.audit.syslog is not None
        assert forward(whole, whole.audit.syslog, AuditLog(office.database))
    found = []
    for frame in repository.frames:
        header = HEAD.fullmatch(frame)
        assert header, frame
        root = ElementTree.fromstring(header[1])
        assert violations(root) == []
        event = root.find("EventIdentification")
        code = event.find("EventID").get("csd-code")
        if code in (BEGUN, TRANSFERRED):
            to = root.findall("ActiveParticipant")[1]
            names = ("UserID", "AlternativeUserID", "NetworkAccessPointID", "NetworkAccessPointTypeCode")
            found.append((code, event.get("EventOutcomeIndicator"), tuple(to.get(name) for name in names)))
    return sorted(found, key=str)
