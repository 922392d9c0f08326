"""STOW-RS (PS3.18 10.5): posted objects are stored by the same durable path as those sent by C-STORE."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request
from pydicom.errors import InvalidDicomError
from pydicom.filereader import _read_file_meta_info as read_file_meta
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from service.application import ActorKind, Operation
from service.application.tokens import TRAIL_PREFIX
from service.audit import AuditWriter
from service.config import Settings
from service.dimse import sop_classes
from service.dimse.commands import CommandField, DimseRequest
from service.dimse.file_meta import TransferRoute
from service.dimse.negotiation import AcceptedContext
from service.dimse.statuses import Status
from service.errors import TryAgain
from service.receive import object_families
from service.receive.association_summary import AssociationSummary
from service.receive.store_handler import Response as Answer
from service.receive.store_handler import StoreHandler, StoreRequest, storage_of
from service.rules import opening_sop_classes
from service.store import AuditLog, Database, DiskGauge, FileStore, InstanceRecorder
from service.web.access import Visitor, address_of, parts_of, permits
from service.web.dicomweb.body import Blocks, BodyParts, BrokenBody
from service.web.dicomweb.kept import DICOM_JSON, PREFIX

router = APIRouter(prefix=PREFIX, include_in_schema=False)
Storing = Annotated[Visitor, Depends(permits(Operation.DICOMWEB_STORE))]
MOST_AT_ONCE = 8
LARGEST_HEAD_BYTES = 1 << 16
PREAMBLE_BYTES, GROUP_LENGTH_BYTES = 132, 12


class NoPart10(Exception):
    """A part is not a DICOM file (PS3.10 7.1)."""


@dataclass(frozen=True)
class ObjectIntake:
    """What stores the objects: the receiver's handler, its recorder, the audit trail, and the limit of requests."""

    storage: StoreHandler
    recorder: InstanceRecorder
    trail: AuditWriter
    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST_AT_ONCE))


@contextmanager
def opened_intake(
    settings: Settings, database: Database, files: FileStore, gauge: DiskGauge
) -> Iterator[ObjectIntake]:
    """Open what stores posted objects; when it is closed, everything has been recorded."""
    with (
        InstanceRecorder(database) as recorder,
        AuditWriter(AuditLog(database), role="web") as trail,
    ):
        yield ObjectIntake(storage_of(settings, files, recorder, gauge), recorder, trail)


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """What became of one part."""

    sop_class_uid: str
    sop_instance_uid: str
    answer: Answer


@router.post("/studies")
@router.post("/studies/{study}")
async def store(request: Request, visitor: Storing, study: str = "") -> Response:
    """Store the objects in the body, all of one study if it is named; the calling AE title is the token's name."""
    intake = parts_of(request).object_intake
    if intake is None:
        raise TryAgain("this process does not store objects")
    if visitor.actor.kind is not ActorKind.SERVICE:
        raise HTTPException(
            403, "Objects are stored by a program with a token: its name is the calling AE title."
        )
    boundary = _boundary(request.headers.get("content-type", ""))
    if not intake.places.acquire(blocking=False):
        raise TryAgain(f"{MOST_AT_ONCE} requests are storing objects already")
    blocks = Blocks(request)
    try:
        outcomes = await anyio.to_thread.run_sync(
            partial(_store, request, visitor, study, BodyParts(boundary, blocks.next))
        )
    finally:
        intake.places.release()
    return _answer(request, outcomes)


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    inner = options.get(b"type", b"application/dicom").strip().lower()
    boundary = options.get(b"boundary", b"")
    if kind.lower() != b"multipart/related" or inner != b"application/dicom" or not 0 < len(boundary) <= 200:
        raise HTTPException(
            415,
            'Objects are accepted only as multipart/related; type="application/dicom" with a boundary.',
        )
    return boundary


def _store(request: Request, visitor: Visitor, study: str, body: BodyParts) -> list[StoredPart]:
    """Store one part after the other; whatever happens, the audit trail gets its entries."""
    parts = parts_of(request)
    intake = parts.object_intake
    if intake is None:
        raise AssertionError("asked for only with an intake")
    settings = parts.ruled
    intake.recorder.open_jobs_for(opening_sop_classes(settings))
    supported = sop_classes.supported(object_families.companions(settings.receive))
    route = TransferRoute(
        calling_aet=visitor.actor.name.removeprefix(TRAIL_PREFIX),
        called_aet=settings.receive.ae_title,
        peer_host=address_of(request),
    )
    summary, outcomes = AssociationSummary(), []
    try:
        for part in body:
            outcome = _store_part(intake.storage, supported, route, study, part)
            summary.count(outcome.answer)
            outcomes.append(outcome)
    except (BrokenBody, ClientDisconnect) as reason:
        kept = sum(one.answer.status is Status.SUCCESS for one in outcomes)
        raise HTTPException(
            400, f"{str(reason) or 'the connection ended'}; {kept} objects were stored before that."
        ) from reason
    finally:
        for event in summary.events(route):
            intake.trail.record(event)
    return outcomes


def _store_part(
    storage: StoreHandler,
    supported: Mapping[str, frozenset[str]],
    route: TransferRoute,
    study: str,
    part: Iterator[memoryview],
) -> StoredPart:
    try:
        named, rest = _head(part)
    except NoPart10 as reason:
        return StoredPart(
            sop_class_uid="",
            sop_instance_uid="",
            answer=Answer(status=Status.CANNOT_UNDERSTAND, comment=str(reason)),
        )
    sop_class, sop_instance, syntax = named
    refusal = None
    if sop_class not in supported or sop_class in (sop_classes.VERIFICATION, sop_classes.STORAGE_COMMITMENT):
        refusal = Answer(status=Status.SOP_CLASS_NOT_SUPPORTED, comment="SOP class is not accepted")
    elif syntax not in supported[sop_class]:
        refusal = Answer(status=Status.CANNOT_UNDERSTAND, comment="transfer syntax is not accepted")
    asked = StoreRequest(
        request=DimseRequest(
            field=CommandField.C_STORE_RQ,
            message_id=1,
            sop_class_uid=sop_class,
            sop_instance_uid=sop_instance,
            has_data_set=True,
        ),
        context=AcceptedContext(sop_class_uid=sop_class, transfer_syntax_uid=syntax),
        origin=route,
        study_uid=study,
    )
    answer = refusal or storage.keep(asked, rest)
    return StoredPart(sop_class_uid=sop_class, sop_instance_uid=sop_instance, answer=answer)


def _head(part: Iterator[memoryview]) -> tuple[tuple[str, str, str], Iterator[memoryview]]:
    """Return SOP class, SOP instance and transfer syntax from a file's header, and the bytes of its dataset."""
    head = bytearray()

    def filled(wanted: int) -> None:
        while len(head) < wanted:
            piece = next(part, None)
            if piece is None:
                raise NoPart10("a part is not a DICOM file: it ends within its header")
            head.extend(piece)

    start = PREAMBLE_BYTES + GROUP_LENGTH_BYTES
    filled(start)
    if head[128:140] != b"DICM\2\0\0\0UL\4\0":
        raise NoPart10("a part is not a DICOM file with File Meta Information")
    end = start + int.from_bytes(head[140:144], "little")
    if end > LARGEST_HEAD_BYTES:
        raise NoPart10("the File Meta Information of a part is too long")
    filled(end)
    named = _named_in(bytes(head[PREAMBLE_BYTES:end]))

    def rest() -> Iterator[memoryview]:
        if len(head) > end:
            yield memoryview(bytes(head))[end:]
        yield from part

    return named, rest()


def _named_in(meta: bytes) -> tuple[str, str, str]:
    try:
        said = read_file_meta(BytesIO(meta))
        return (
            str(said.MediaStorageSOPClassUID),
            str(said.MediaStorageSOPInstanceUID),
            str(said.TransferSyntaxUID),
        )
    except (InvalidDicomError, ValueError, AttributeError, KeyError, EOFError, NotImplementedError) as reason:
        raise NoPart10("the File Meta Information of a part cannot be read") from reason


def _answer(request: Request, outcomes: list[StoredPart]) -> Response:
    if not outcomes:
        raise HTTPException(400, "The body has no part.")
    failed = [one for one in outcomes if one.answer.status is not Status.SUCCESS]
    reasons = dict.fromkeys(one.answer.comment for one in failed)
    if len(failed) == len(outcomes) and all(one.answer.status is Status.OUT_OF_RESOURCES for one in failed):
        raise TryAgain("; ".join(reasons))
    body: dict[str, object] = {}
    if failed:
        body["00081198"] = {"vr": "SQ", "Value": [_failed(one) for one in failed]}
    kept = [one for one in outcomes if one.answer.status is Status.SUCCESS]
    if kept:
        base = str(request.base_url).rstrip("/") + PREFIX
        body["00081199"] = {"vr": "SQ", "Value": [_kept(one, base) for one in kept]}
    status = 200 if not failed else 202 if kept else 409
    headers = {"Warning": f'299 contour-node "{"; ".join(reasons)}"'} if failed else {}
    return JSONResponse(body, status, headers, media_type=DICOM_JSON)


def _named(one: StoredPart) -> dict[str, object]:
    return {
        tag: {"vr": "UI", "Value": [uid]} if uid else {"vr": "UI"}
        for tag, uid in (("00081150", one.sop_class_uid), ("00081155", one.sop_instance_uid))
    }


def _failed(one: StoredPart) -> dict[str, object]:
    return {**_named(one), "00081197": {"vr": "US", "Value": [int(one.answer.status)]}}


def _kept(one: StoredPart, base: str) -> dict[str, object]:
    identity = one.answer.kept
    if identity is None:
        raise AssertionError("a kept object has an identity")
    address = f"{base}/studies/{identity.study_uid}/series/{identity.series_uid}/instances/{identity.sop_instance_uid}"
    return {**_named(one), "00081190": {"vr": "UR", "Value": [address]}}
