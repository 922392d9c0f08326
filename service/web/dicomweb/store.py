"""STOW-RS (PS3.18 10.5): posted objects are stored by the same durable path as those sent by C-STORE."""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, HTTPException, Request
from pydicom.filereader import _read_file_meta_info as read_file_meta
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from imaging.errors import PARSE_ERRORS
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
from service.receive.upkeep import RecoveryThread
from service.rules import RuleBook, opening_sop_classes
from service.store import AuditLog, Database, DiskGauge, FileStore, InstanceRecorder, JobRepository
from service.web.access import Visitor, address_of, parts_of, permits
from service.web.dicomweb.body import Blocks, BodyParts, BrokenBody
from service.web.dicomweb.kept import PREFIX
from service.web.dicomweb.store_answer import StoredPart, nameless, stored_answer

router = APIRouter(prefix=PREFIX, include_in_schema=False)
Storing = Annotated[Visitor, Depends(permits(Operation.DICOMWEB_STORE))]
MOST_AT_ONCE = 8
LARGEST_HEAD_BYTES = 1 << 16
PREAMBLE_BYTES, GROUP_LENGTH_BYTES = 132, 12
MOST_PARTS = 20_000
"""Of a request: what became of each is kept until the answer."""
SYNTAX_NOT_SUPPORTED = 0xC122
"""PS3.18 Table I.2-2."""
UID = re.compile(r"[0-9][0-9.]{0,63}")


class NoPart10(Exception):
    """A part is not a DICOM file (PS3.10 7.1)."""


@dataclass(frozen=True)
class ObjectIntake:
    """What stores the objects: the receiver's handler, its recorder, the audit trail, and the limit of requests."""

    storage: StoreHandler
    recorder: InstanceRecorder
    trail: AuditWriter
    recovery: RecoveryThread | None = None
    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST_AT_ONCE))

    def check(self) -> None:
        """Raise what ended the recorder or the recovery: only a new process helps."""
        self.recorder.require_alive()
        if self.recovery is not None:
            self.recovery.raise_fault()


@contextmanager
def opened_intake(
    settings: Settings, database: Database, files: FileStore, gauge: DiskGauge
) -> Iterator[ObjectIntake]:
    """Open what keeps posted objects, and record what a killed predecessor left; at the end all is recorded."""
    ruled = RuleBook(settings, database).current().settings
    with (
        InstanceRecorder(database, opening=opening_sop_classes(ruled)) as recorder,
        AuditWriter(AuditLog(database), role="web") as trail,
        RecoveryThread(files, JobRepository(database), recorder) as recovery,
    ):
        yield ObjectIntake(storage_of(settings, files, recorder, gauge), recorder, trail, recovery)


class CutShort(Exception):
    """The body is broken, or ended, within this part."""

    def __init__(self, part: StoredPart) -> None:
        super().__init__(part.answer.comment)
        self.part = part


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
    return stored_answer(outcomes, str(request.base_url).rstrip("/") + PREFIX)


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
    summary = AssociationSummary()
    outcomes: list[StoredPart] = []
    try:
        for part in body:
            if len(outcomes) == MOST_PARTS:
                raise BrokenBody(f"a request has at most {MOST_PARTS} objects")
            outcome = _store_part(intake.storage, supported, route, study, part)
            summary.count(outcome.answer)
            outcomes.append(outcome)
    except (BrokenBody, ClientDisconnect, CutShort) as reason:
        if all(one.answer.status is not Status.SUCCESS for one in outcomes):
            raise HTTPException(400, f"{_said(reason)}; no object is kept.") from reason
        cut = reason.part if isinstance(reason, CutShort) else nameless(_said(reason))
        outcomes.append(cut)
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
        return nameless(str(reason))
    sop_class, sop_instance, syntax = named
    refusal, failure_reason = None, 0
    if sop_class not in supported or sop_class in (sop_classes.VERIFICATION, sop_classes.STORAGE_COMMITMENT):
        refusal = Answer(status=Status.SOP_CLASS_NOT_SUPPORTED, comment="SOP class is not accepted")
    elif syntax not in supported[sop_class]:
        refusal = Answer(status=Status.CANNOT_UNDERSTAND, comment="transfer syntax is not accepted")
        failure_reason = SYNTAX_NOT_SUPPORTED
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
    stored = partial(StoredPart, sop_class_uid=sop_class, sop_instance_uid=sop_instance)
    try:
        answer = refusal or storage.keep(asked, rest)
    except (BrokenBody, ClientDisconnect) as reason:
        answer = Answer(status=Status.CANNOT_UNDERSTAND, comment=_said(reason))
        raise CutShort(stored(answer=answer)) from reason
    return stored(answer=answer, failure_reason=failure_reason)


def _said(reason: Exception) -> str:
    return str(reason) or "the connection ended"


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
    named = named_in(bytes(head[PREAMBLE_BYTES:end]))

    def rest() -> Iterator[memoryview]:
        if len(head) > end:
            yield memoryview(bytes(head))[end:]
        yield from part

    return named, rest()


def named_in(meta: bytes) -> tuple[str, str, str]:
    """Return SOP class, SOP instance and transfer syntax of File Meta Information with its prefix; raises NoPart10."""
    try:
        said = read_file_meta(BytesIO(meta))
        named = (
            str(said.MediaStorageSOPClassUID),
            str(said.MediaStorageSOPInstanceUID),
            str(said.TransferSyntaxUID),
        )
    except PARSE_ERRORS as reason:
        raise NoPart10("the File Meta Information of a part cannot be read") from reason
    if not all(map(UID.fullmatch, named)):
        raise NoPart10(
            "the File Meta Information of a part names no SOP class, SOP instance and transfer syntax"
        )
    return named
