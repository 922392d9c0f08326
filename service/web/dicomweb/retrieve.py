"""WADO-RS (PS3.18 10.4): objects, their metadata and frames, as stored; one object in memory at a time."""

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response, StreamingResponse

from service.store.jobs.kept_objects import KeptObject
from service.web.access import parts_of
from service.web.dicomweb.frames import read_frames
from service.web.dicomweb.kept import (
    DICOM_JSON,
    PREFIX,
    Reading,
    Uid,
    as_json,
    chosen,
    content_of,
    read_header,
)
from service.web.parts import WebParts

router = APIRouter(prefix=PREFIX, include_in_schema=False)
PRIVATE = {"Cache-Control": "private, no-store"}
Part = tuple[str, Iterable[bytes]]


@router.get("/studies/{study}/metadata")
@router.get("/studies/{study}/series/{series}/metadata")
@router.get("/studies/{study}/series/{series}/instances/{instance}/metadata")
def metadata(
    request: Request, visitor: Reading, study: Uid, series: str | None = None, instance: str | None = None
) -> Response:
    """Return the headers of objects as DICOM JSON."""
    parts = parts_of(request)
    found = chosen(request, visitor, study, series, instance)
    pieces = _started(_json_list(parts, found))
    return StreamingResponse(pieces, media_type=DICOM_JSON, headers=PRIVATE)


@router.get("/studies/{study}")
@router.get("/studies/{study}/series/{series}")
@router.get("/studies/{study}/series/{series}/instances/{instance}")
def objects(
    request: Request, visitor: Reading, study: Uid, series: str | None = None, instance: str | None = None
) -> Response:
    """Return objects as files, each in the transfer syntax in which it is stored."""
    parts = parts_of(request)
    found = chosen(request, visitor, study, series, instance)
    if len(found) == 1 and request.headers.get("accept", "").startswith("application/dicom"):
        pieces = _started(content_of(parts, found[0]))
        return StreamingResponse(pieces, media_type="application/dicom", headers=PRIVATE)
    return _related("application/dicom", (("application/dicom", content_of(parts, one)) for one in found))


@router.get("/studies/{study}/series/{series}/instances/{instance}/frames/{numbers}")
def frames(
    request: Request,
    visitor: Reading,
    study: Uid,
    series: Uid,
    instance: Uid,
    numbers: Annotated[str, Path(pattern=r"^[0-9]{1,6}(,[0-9]{1,6}){0,999}$")],
) -> Response:
    """Return frames of an image, counted from 1."""
    parts = parts_of(request)
    (found,) = chosen(request, visitor, study, series, instance)
    accept = request.headers.get("accept", "*/*")
    wanted = [int(number) for number in numbers.split(",")]
    kind, pieces = read_frames(parts, found, wanted, accept)
    return _related(kind.partition(";")[0], ((kind, [piece]) for piece in pieces))


def _json_list(parts: WebParts, found: Sequence[KeptObject]) -> Iterator[bytes]:
    before = b"["
    for one in found:
        header = read_header(parts, one)
        body = as_json(header)
        body["00083002"] = {"vr": "UI", "Value": [str(header.file_meta.TransferSyntaxUID)]}
        yield before + json.dumps(body, separators=(",", ":")).encode()
        before = b","
    yield b"]"


def _related(kind: str, made: Iterator[Part]) -> Response:
    boundary = secrets.token_hex(16)
    pieces = _started(_multipart(boundary, made))
    media_type = f'multipart/related; type="{kind}"; boundary={boundary}'
    return StreamingResponse(pieces, headers={**PRIVATE, "Content-Type": media_type})


def _multipart(boundary: str, made: Iterator[Part]) -> Iterator[bytes]:
    for kind, content in made:
        pieces = iter(content)
        first = next(pieces, b"")  # an error of the object shows before its part begins
        yield f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode()
        yield first
        yield from pieces
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _started(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Make the first piece now, while an error can still become the answer; a later one ends the connection."""
    first = next(pieces)

    def rest() -> Iterator[bytes]:
        yield first
        yield from pieces

    return rest()
