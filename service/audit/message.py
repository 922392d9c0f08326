"""An audit entry as a DICOM audit message (PS3.15 A.5.1, the schema; A.5.3, the content of each event)."""

import base64
import ipaddress
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from service.config import Peer, Settings, WebDestination
from service.store import AuditEntry, AuditEvent, AuditKind, AuditOutcome


@dataclass(frozen=True, kw_only=True)
class AuditCode:
    """A code of PS3.16, or of another system."""

    value: str
    meaning: str
    system: str = "DCM"


@dataclass(frozen=True, kw_only=True)
class _EventType:
    event: AuditCode
    action: str
    kind: AuditCode | None = None


ACTIVITY = AuditCode(value="110100", meaning="Application Activity")
ACCESSED = AuditCode(value="110103", meaning="DICOM Instances Accessed")
BEGUN = AuditCode(value="110102", meaning="Begin Transferring DICOM Instances")
TRANSFERRED = AuditCode(value="110104", meaning="DICOM Instances Transferred")
AUTHENTICATION = AuditCode(value="110114", meaning="User Authentication")
EVENTS = {
    AuditKind.STARTED: _EventType(
        event=ACTIVITY, action="E", kind=AuditCode(value="110120", meaning="Application Start")
    ),
    AuditKind.STOPPED: _EventType(
        event=ACTIVITY, action="E", kind=AuditCode(value="110121", meaning="Application Stop")
    ),
    AuditKind.RECEIVED: _EventType(event=TRANSFERRED, action="C"),
    AuditKind.SENDING: _EventType(event=BEGUN, action="E"),
    AuditKind.SENT: _EventType(event=TRANSFERRED, action="R"),
    AuditKind.REFUSED: _EventType(
        event=AuditCode(value="110113", meaning="Security Alert"),
        action="E",
        kind=AuditCode(value="110126", meaning="Node Authentication"),
    ),
    AuditKind.CONTOURED: _EventType(event=ACCESSED, action="C"),
    AuditKind.LOOKED_AT: _EventType(event=ACCESSED, action="R"),
    AuditKind.ORDERED: _EventType(event=AuditCode(value="110111", meaning="Procedure Record"), action="U"),
    AuditKind.DELETED: _EventType(event=AuditCode(value="110105", meaning="DICOM Study Deleted"), action="D"),
    AuditKind.SIGNED_IN: _EventType(
        event=AUTHENTICATION, action="E", kind=AuditCode(value="110122", meaning="Login")
    ),
    AuditKind.SIGNED_OUT: _EventType(
        event=AUTHENTICATION, action="E", kind=AuditCode(value="110123", meaning="Logout")
    ),
}
FETCHING = "pull"
"""The role in events of what this node asked a peer for."""
SOURCE = AuditCode(value="110153", meaning="Source Role ID")
DESTINATION = AuditCode(value="110152", meaning="Destination Role ID")
APPLICATION = AuditCode(value="110150", meaning="Application")
STUDY_UID = AuditCode(value="110180", meaning="Study Instance UID")
NODE_ID = AuditCode(value="110182", meaning="Node ID")
PATIENT_NUMBER = AuditCode(value="2", meaning="Patient Number", system="RFC-3881")


def audit_message(entry: AuditEntry, settings: Settings, patient_of: Callable[[str], str]) -> bytes:
    """Return the message as UTF-8 XML.

    Args:
        entry: what happened.
        settings: who the node and its destinations are.
        patient_of: gives the Patient ID of a study where the trail has one, or an empty text.
    """
    event = entry.event
    root = Element("AuditMessage")
    _event(root, event, entry.at)
    for participant in _participants(event, settings):
        participant.put(root)
    source = SubElement(root, "AuditSourceIdentification")
    if settings.audit.site_id:
        source.set("AuditEnterpriseSiteID", settings.audit.site_id)
    source.set("AuditSourceID", settings.audit.source_id)
    SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})  # an application server
    if event.kind is AuditKind.REFUSED:
        _alert(root, event)
    elif event.study_uid:
        _study(root, event)
        patient_id = event.patient_id or patient_of(event.study_uid)
        if settings.audit.patient_ids and patient_id:
            _object(root, PATIENT_NUMBER, patient_id, type_code="1", role="1", name="")
    return b'<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, encoding="unicode").encode()


@dataclass(frozen=True, kw_only=True)
class _Participant:
    """An active participant: a process, an application or a person."""

    user: str
    requests: bool
    role: AuditCode | None = None
    aet: str = ""
    address: str = ""
    url: str = ""

    def put(self, root: Element) -> None:
        element = SubElement(root, "ActiveParticipant", {"UserID": self.user})
        if self.aet:
            element.set("AlternativeUserID", f"AETITLES={self.aet}")
        element.set("UserIsRequestor", "true" if self.requests else "false")
        if self.url:
            element.set("NetworkAccessPointID", self.url)
            element.set("NetworkAccessPointTypeCode", "5")  # a URI
        elif self.address:
            element.set("NetworkAccessPointID", self.address)
            element.set("NetworkAccessPointTypeCode", "2" if _is_address(self.address) else "1")
        if self.role is not None:
            _code(element, "RoleIDCode", self.role)


def _participants(event: AuditEvent, settings: Settings) -> Iterator[_Participant]:
    here = socket.gethostname()
    aet = settings.receive.ae_title
    process = f"contour-node {event.role}".strip()
    if event.kind in (AuditKind.STARTED, AuditKind.STOPPED):
        yield _Participant(user=process, requests=False, role=APPLICATION, aet=aet, address=here)
    elif event.kind is AuditKind.RECEIVED:
        is_fetched = event.role == FETCHING
        yield _Participant(
            user=event.actor, requests=not is_fetched, role=SOURCE, aet=event.actor, address=event.address
        )
        yield _Participant(
            user=process, requests=is_fetched, role=DESTINATION, aet=event.target, address=here
        )
    elif event.kind in (AuditKind.SENDING, AuditKind.SENT):
        yield _Participant(user=process, requests=True, role=SOURCE, aet=settings.send.ae_title, address=here)
        yield _destination(event.target, settings)
    elif event.kind is AuditKind.REFUSED:
        yield _Participant(user=process, requests=False, role=APPLICATION, aet=aet, address=here)
        yield _Participant(
            user=event.actor or "unknown", requests=True, aet=event.actor, address=event.address
        )
    else:
        yield _Participant(user=event.actor or process, requests=True, address=event.address or here)
        yield _Participant(user=process, requests=False, role=APPLICATION, aet=aet, address=here)


def _destination(name: str, settings: Settings) -> _Participant:
    """Return a destination by AE title or URL, or by name if it is no longer in the settings."""
    found = settings.destination(name)
    title, host = (found.ae_title, found.host) if isinstance(found, Peer) else ("", "")
    url = found.url if isinstance(found, WebDestination) else ""
    return _Participant(user=name, requests=False, role=DESTINATION, aet=title, address=host, url=url)


def _event(root: Element, event: AuditEvent, at: datetime) -> None:
    what = EVENTS[event.kind]
    time = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    element = SubElement(
        root,
        "EventIdentification",
        {"EventActionCode": what.action, "EventDateTime": time, "EventOutcomeIndicator": event.outcome},
    )
    _code(element, "EventID", what.event)
    if what.kind is not None:
        _code(element, "EventTypeCode", what.kind)
    if event.kind is AuditKind.ORDERED and event.target:
        _code(
            element,
            "EventTypeCode",
            AuditCode(value=event.target, meaning=event.target, system="CONTOURNODE"),
        )
    if event.outcome is not AuditOutcome.SUCCESS and event.detail:
        SubElement(element, "EventOutcomeDescription").text = event.detail


def _study(root: Element, event: AuditEvent) -> None:
    element = _object(root, STUDY_UID, event.study_uid, type_code="2", role="3", name=event.study_uid)
    if event.job_id is not None:
        _detail(element, "JobNumber", str(event.job_id))
    if event.actor and event.kind is AuditKind.CONTOURED:
        _detail(element, "Model", event.actor)
    if event.sop_classes:
        description = SubElement(element, "ParticipantObjectDescription")
        for item in event.sop_classes.split():
            uid, _, count = item.partition("=")
            SubElement(description, "SOPClass", {"UID": uid, "NumberOfInstances": count})


def _alert(root: Element, event: AuditEvent) -> None:
    """PS3.15 Table A.5.3.11-1: what the alert is about, and why."""
    element = _object(
        root, NODE_ID, event.address or "unknown", type_code="2", role="13", name=event.address or "unknown"
    )
    _detail(element, "Alert Description", event.detail)


def _object(
    root: Element, kind: AuditCode, identifier: str, *, type_code: str, role: str, name: str
) -> Element:
    element = SubElement(
        root,
        "ParticipantObjectIdentification",
        {
            "ParticipantObjectID": identifier,
            "ParticipantObjectTypeCode": type_code,
            "ParticipantObjectTypeCodeRole": role,
        },
    )
    _code(element, "ParticipantObjectIDTypeCode", kind)
    SubElement(element, "ParticipantObjectName").text = name
    return element


def _detail(element: Element, kind: str, value: str) -> None:
    coded = base64.b64encode(value.encode()).decode("ascii")
    SubElement(element, "ParticipantObjectDetail", {"type": kind, "value": coded})


def _code(parent: Element, name: str, code: AuditCode) -> None:
    SubElement(
        parent,
        name,
        {"csd-code": code.value, "codeSystemName": code.system, "originalText": code.meaning},
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
