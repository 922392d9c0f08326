import base64
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from service.audit import audit_message
from service.config import Settings
from service.store import AuditEntry, AuditEvent, AuditKind, AuditOutcome
from tests.support.audit_schema import violations

AT = datetime(2026, 3, 1, 12, 30, 5, 250_000, UTC)
CT = "1.2.840.10008.5.1.4.1.1.2"


def settings(**audit: object) -> Settings:
    return Settings.model_validate(
        {
            "receive": {"ae_title": "NODE"},
            "send": {"ae_title": "NODE_OUT"},
            "audit": {"source_id": "NODE1", **audit},
            "peers": {
                "tps": {"ae_title": "TPS", "host": "10.0.0.9", "port": 104},
                "web": {"url": "https://pacs.example.org/dicom-web"},
            },
        }
    )


def message(event: AuditEvent, patient: str = "", **audit: object) -> ElementTree.Element:
    entry = AuditEntry(id=1, at=AT, event=event)
    xml = audit_message(entry, settings(**audit), lambda _: patient)
    assert xml.startswith(b'<?xml version="1.0" encoding="UTF-8"?><AuditMessage>')
    root = ElementTree.fromstring(xml)
    assert violations(root) == []
    return root


def event_of(root: ElementTree.Element) -> tuple[str, str, str]:
    what = root.find("EventIdentification")
    return (
        what.find("EventID").get("csd-code"),
        what.get("EventActionCode"),
        what.get("EventOutcomeIndicator"),
    )


def participants(root: ElementTree.Element) -> list[tuple[str | None, str | None, str | None]]:
    return [
        (p.get("AlternativeUserID"), p.get("UserIsRequestor"), _role(p))
        for p in root.findall("ActiveParticipant")
    ]


def _role(participant: ElementTree.Element) -> str | None:
    role = participant.find("RoleIDCode")
    return None if role is None else role.get("csd-code")


RECEIVED = AuditEvent(
    kind=AuditKind.RECEIVED,
    role="receive",
    actor="SCANNER",
    address="10.0.0.7",
    target="NODE",
    study_uid="1.2.3",
    sop_classes=f"{CT}=120 1.2.840.10008.5.1.4.1.1.481.3=1",
    instance_count=121,
)


@pytest.mark.parametrize("kind", list(AuditKind))
@pytest.mark.parametrize("outcome", list(AuditOutcome))
@pytest.mark.parametrize("full", [True, False])
def test_every_event_is_a_message_of_the_schema(kind: AuditKind, outcome: AuditOutcome, full: bool) -> None:
    values = {**vars(RECEIVED), "job_id": 7, "patient_id": "P1", "detail": "<&\"'>"} if full else {}
    root = message(
        AuditEvent(**{**values, "kind": kind, "outcome": outcome}),
        patient_ids=full,
        site_id="S1" if full else "",
    )
    assert root.find("EventIdentification").get("EventDateTime") == "2026-03-01T12:30:05.250Z"


def test_what_was_received_names_source_destination_study_and_counts() -> None:
    root = message(RECEIVED)
    assert event_of(root) == ("110104", "C", "0")  # DICOM Instances Transferred
    assert participants(root) == [
        ("AETITLES=SCANNER", "true", "110153"),
        ("AETITLES=NODE", "false", "110152"),
    ]
    assert root.find("ActiveParticipant").get("NetworkAccessPointID") == "10.0.0.7"
    assert root.find("ActiveParticipant").get("NetworkAccessPointTypeCode") == "2"
    (study,) = root.findall("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == "1.2.3"
    assert study.find("ParticipantObjectIDTypeCode").get("csd-code") == "110180"
    counts = {c.get("UID"): c.get("NumberOfInstances") for c in study.iter("SOPClass")}
    assert counts == {CT: "120", "1.2.840.10008.5.1.4.1.1.481.3": "1"}


def test_what_was_sent_names_the_destination_of_the_settings() -> None:
    root = message(AuditEvent(kind=AuditKind.SENT, target="tps", study_uid="1.2.3", job_id=7))
    assert event_of(root) == ("110104", "R", "0")
    assert participants(root) == [
        ("AETITLES=NODE_OUT", "true", "110153"),
        ("AETITLES=TPS", "false", "110152"),
    ]
    assert root.findall("ActiveParticipant")[1].get("NetworkAccessPointID") == "10.0.0.9"
    detail = root.find("ParticipantObjectIdentification/ParticipantObjectDetail")
    assert (detail.get("type"), base64.b64decode(detail.get("value"))) == ("JobNumber", b"7")


def test_a_dicomweb_destination_is_named_by_its_url() -> None:
    root = message(AuditEvent(kind=AuditKind.SENT, target="web", study_uid="1.2.3", job_id=7))
    destination = root.findall("ActiveParticipant")[1]
    assert destination.get("NetworkAccessPointID") == "https://pacs.example.org/dicom-web"
    assert destination.get("NetworkAccessPointTypeCode") == "5"  # a URI
    assert destination.get("AlternativeUserID") is None


def test_a_refused_association_is_a_security_alert_that_says_why() -> None:
    event = AuditEvent(
        kind=AuditKind.REFUSED,
        outcome=AuditOutcome.MINOR_FAILURE,
        actor="STRANGER",
        address="192.0.2.7",
        detail="association rejected: CALLING_AE_TITLE_NOT_RECOGNIZED",
    )
    root = message(event)
    assert event_of(root) == ("110113", "E", "4")
    assert root.find("EventIdentification/EventTypeCode").get("csd-code") == "110126"
    detail = root.find("ParticipantObjectIdentification/ParticipantObjectDetail")
    assert base64.b64decode(detail.get("value")).decode() == event.detail


@pytest.mark.parametrize(
    ("kind", "code", "action"),
    [
        (AuditKind.CONTOURED, "110103", "C"),
        (AuditKind.SENDING, "110102", "E"),
        (AuditKind.LOOKED_AT, "110103", "R"),
        (AuditKind.ORDERED, "110111", "U"),
        (AuditKind.DELETED, "110105", "D"),
        (AuditKind.STARTED, "110100", "E"),
    ],
)
def test_what_the_other_events_are_called(kind: AuditKind, code: str, action: str) -> None:
    root = message(AuditEvent(kind=kind, actor="physicist", target="retry", study_uid="1.2.3"))
    assert event_of(root) == (code, action, "0")


def test_patients_are_named_by_number_and_only_where_the_settings_want_it() -> None:
    known = AuditEvent(kind=AuditKind.CONTOURED, study_uid="1.2.3")
    assert b"P-17" not in ElementTree.tostring(message(known, patient="P-17"))
    (_, patient) = message(known, patient="P-17", patient_ids=True).findall("ParticipantObjectIdentification")
    assert patient.get("ParticipantObjectID") == "P-17"
    assert patient.get("ParticipantObjectTypeCodeRole") == "1"
    assert not patient.find("ParticipantObjectName").text


def test_the_check_would_see_a_message_that_is_wrong() -> None:
    root = message(RECEIVED)
    root.find("EventIdentification").set("EventOutcomeIndicator", "1")
    root.remove(root.find("AuditSourceIdentification"))
    assert len(violations(root)) == 2
