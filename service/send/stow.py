"""STOW-RS (PS3.18 10.5).

Send one object to a DICOMweb server, interpret the answer, and ask by QIDO-RS whether the object is there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from imaging.dicom.uids import derived_uid
from service.config import WebDestination
from service.errors import Refused
from service.scu.outcome import Failure, Outcome, PermanentRefusal, Sent, TransientFailure
from service.scu.part10 import StoredObject, look_at
from service.scu.readback import InstanceKey, place_of
from service.scu.statuses import outcome_of
from service.send.confirmation import Confirmation, confirmed_by_search
from service.send.transport import Transport
from service.send.web import HttpRequest, HttpResponse, exchange, failure_of
from service.store import ClaimedDelivery

_CHUNK_BYTES = 256 * 1024
_JSON = "application/dicom+json"
_FAILED, _STORED = "00081198", "00081199"
_INSTANCE, _FAILURE_REASON, _WARNING_REASON = "00081155", "00081197", "00081196"
# Failure reasons of servers in use, outside the standard's list: Azure's DICOM service.
_STORED_ALREADY, _BEING_STORED = 0xB00E, 0xB00F


@dataclass(frozen=True, kw_only=True)
class StowTransport(Transport):
    """Delivery to one DICOMweb server. Thread-safe."""

    destination: WebDestination
    timeout_s: float

    @override
    def store(self, path: Path) -> Outcome:
        return stow(self.destination, path, timeout_s=self.timeout_s)

    @override
    def confirm(self, claim: ClaimedDelivery, path: Path) -> Confirmation:
        place = place_of(look_at(path))
        return confirmed_by_search(is_listed(self.destination, place, timeout_s=self.timeout_s))


def stow(destination: WebDestination, path: Path, *, timeout_s: float) -> Outcome:
    """Send the object in the file, its bytes unchanged; return the outcome."""
    try:
        stored = look_at(path)
        size_bytes = path.stat().st_size
    except Refused as error:
        return PermanentRefusal(reason=str(error))
    except OSError as error:
        return TransientFailure(reason=f"the object's file cannot be read: {error.strerror}")
    boundary = derived_uid("multipart boundary", stored.sop_instance_uid)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    tail = f"\r\n--{boundary}--\r\n".encode("ascii")
    reply = exchange(
        destination,
        HttpRequest(
            method="POST",
            path="/studies",
            headers={
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
                "Content-Length": str(len(head) + size_bytes + len(tail)),
                "Accept": _JSON,
            },
            body=_pieces(head, path, tail),
        ),
        timeout_s=timeout_s,
    )
    return outcome_of_reply(reply, stored) if isinstance(reply, HttpResponse) else reply


def outcome_of_reply(reply: HttpResponse, stored: StoredObject) -> Outcome:
    """Return the outcome that a Store Instances Response means for the object sent (PS3.18 10.5.3, Annex I.2)."""
    answer = _dicom_json(reply.body)
    failed = _reason(answer, _FAILED, _FAILURE_REASON, stored)
    if failed is not None and reply.status in (200, 202, 409):
        return _failure(failed)
    if reply.status == 409:
        return PermanentRefusal(reason="HTTP 409: the server stored nothing and gave no reason")
    if reply.status not in (200, 202, 204):
        return failure_of(reply)
    warning = _reason(answer, _STORED, _WARNING_REASON, stored)
    if warning is not None:
        outcome = outcome_of(warning)
        return outcome if isinstance(outcome, Sent) else Sent(note=f"0x{warning:04X} warning")
    return Sent(note="HTTP 202 without a reason" if reply.status == 202 else "")


def is_listed(destination: WebDestination, place: InstanceKey, *, timeout_s: float) -> bool | Failure:
    """Return whether a search by QIDO-RS finds the object, or why the server could not be asked."""
    path = f"/studies/{place.study_uid}/series/{place.series_uid}/instances?SOPInstanceUID={place.sop_instance_uid}"
    reply = exchange(
        destination, HttpRequest(method="GET", path=path, headers={"Accept": _JSON}), timeout_s=timeout_s
    )
    if not isinstance(reply, HttpResponse):
        return reply
    if reply.status in (204, 404):  # 404: the server does not have the series
        return False
    if reply.status != 200:
        return failure_of(reply)
    try:
        return bool(json.loads(reply.body))
    except ValueError:
        return TransientFailure(reason="the server's answer to the search is not JSON")


def probe(destination: WebDestination, *, timeout_s: float) -> Outcome:
    """Return Sent if the server admits the node and answers a search for one study."""
    reply = exchange(
        destination,
        HttpRequest(method="GET", path="/studies?limit=1", headers={"Accept": _JSON}),
        timeout_s=timeout_s,
    )
    if not isinstance(reply, HttpResponse):
        return reply
    return Sent() if reply.status in (200, 204) else failure_of(reply)


def _pieces(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            yield piece
    yield tail


def _failure(reason: int) -> Outcome:
    if reason == _STORED_ALREADY:
        return outcome_of(0x0111)
    if reason == _BEING_STORED:
        return TransientFailure(reason=f"0x{reason:04X} the server is storing it in another request")
    outcome = outcome_of(reason)
    if isinstance(outcome, Sent) and reason != 0x0111:  # a warning's code in the list of failures
        return PermanentRefusal(reason=f"0x{reason:04X} among the failed objects")
    return outcome


def _dicom_json(body: bytes) -> dict[str, Any]:
    """Return the answer's dataset; empty if it is not DICOM JSON: the HTTP status then has to suffice."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    if isinstance(answer, list):  # some servers wrap it
        answer = answer[0] if answer else {}
    return answer if isinstance(answer, dict) else {}


def _reason(answer: dict[str, Any], sequence: str, tag: str, stored: StoredObject) -> int | None:
    """Return the number under ``tag`` in the sequence's item for the object.

    An item without UID can only be that one.
    """
    for item in _values(answer, sequence):
        if not isinstance(item, dict):
            continue
        named = _values(item, _INSTANCE)
        reasons = _values(item, tag)
        if (not named or named[0] == stored.sop_instance_uid) and (reasons or sequence == _FAILED):
            return int(reasons[0]) if reasons and str(reasons[0]).isdigit() else 0x0110
    return None


def _values(item: dict[str, Any], tag: str) -> list[Any]:
    element = item.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []
