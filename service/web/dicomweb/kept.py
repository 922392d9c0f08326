"""What routes read of a study: its objects and their headers; the audit trail has the look before the answer."""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Annotated, BinaryIO

from fastapi import Depends, HTTPException, Path, Request
from pydicom import Dataset, FileDataset, dcmread
from pydicom.errors import InvalidDicomError

from service.application import Operation, study_objects
from service.errors import Refused
from service.store import FileDamaged, FileLost
from service.store.jobs.kept_objects import KeptObject
from service.web.access import Visitor, parts_of, permits
from service.web.parts import WebParts

Reading = Annotated[Visitor, Depends(permits(Operation.DICOMWEB_READ))]
Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]
DICOM_JSON = "application/dicom+json"
PREFIX = "/dicom-web"
CHUNK_BYTES = 1 << 20
IN_MEMORY_BYTES = 16 << 20


class ObjectGone(Refused):
    """An object's file was removed by retention, or is damaged."""


def objects_of(request: Request, visitor: Visitor, study_uid: str) -> Sequence[KeptObject]:
    """Return the objects of a study; the look is recorded in the audit trail, once a minute.

    Raises:
        HTTPException: 404, nothing of it was ever received; 410, retention has removed all of it.
        NotPermitted: the visitor may not see it.
    """
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor.name, "dicomweb", study_uid))
    found = study_objects(parts.database, visitor.actor, study_uid, is_recorded=is_recorded)
    if found.objects:
        return found.objects
    if found.removed:
        raise HTTPException(410, f"Retention has removed the {found.removed} objects of this study.")
    raise HTTPException(404, "The node has no such study.")


def read_header(parts: WebParts, kept: KeptObject) -> FileDataset:
    """Read an object up to its pixels.

    Raises:
        ObjectGone: the file is missing, or cannot be read.
    """
    try:
        with parts.content.open(kept.file.path) as stream:
            return dcmread(stream, stop_before_pixels=True)
    except (FileLost, FileDamaged, InvalidDicomError) as reason:
        raise ObjectGone(f"object {kept.sop_instance_uid} cannot be read: {reason}") from reason


def series_uid_of(parts: WebParts, kept: KeptObject) -> str:
    """Return an object's Series Instance UID, which is read from the file if the node made the object."""
    if kept.series_uid:
        return kept.series_uid
    return parts.header_shelf.get(kept.file.sha256, lambda: str(read_header(parts, kept).SeriesInstanceUID))


def by_series(parts: WebParts, objects: Sequence[KeptObject]) -> Mapping[str, list[KeptObject]]:
    """Return a study's objects by their series."""
    found: dict[str, list[KeptObject]] = {}
    for one in objects:
        found.setdefault(series_uid_of(parts, one), []).append(one)
    return found


def chosen(
    request: Request, visitor: Visitor, study: str, series: str | None, instance: str | None
) -> Sequence[KeptObject]:
    """Return a study's objects, those of a series, or one of them; raises as objects_of(), and 404 for none."""
    objects = objects_of(request, visitor, study)
    if instance is not None:
        objects = [one for one in objects if one.sop_instance_uid == instance]
    if series is not None:
        parts = parts_of(request)
        objects = [one for one in objects if series_uid_of(parts, one) == series]
    if not objects:
        raise HTTPException(404, "The node has no such object of this study, or retention has removed it.")
    return objects


def opened(parts: WebParts, kept: KeptObject) -> BinaryIO:
    """Open an object whose checksum has been verified; a small one is in memory.

    Raises:
        ObjectGone: the file is missing or damaged.
    """
    try:
        if kept.file.size_bytes <= IN_MEMORY_BYTES:
            return BytesIO(parts.content.read_whole(kept.file))
        if parts.content.is_whole(kept.file):
            return parts.content.open(kept.file.path)
    except (FileLost, FileDamaged) as reason:
        raise ObjectGone(
            f"object {kept.sop_instance_uid} was removed by retention or is damaged: {reason}"
        ) from reason
    raise ObjectGone(f"object {kept.sop_instance_uid} was removed by retention or is damaged")


def content_of(parts: WebParts, kept: KeptObject) -> Iterator[bytes]:
    """Yield an object's file in pieces; raises as opened()."""
    with opened(parts, kept) as stream:
        while piece := stream.read(CHUNK_BYTES):
            yield piece


def as_json(header: Dataset) -> dict[str, object]:
    """Return a dataset as DICOM JSON (PS3.18 F), without group lengths and elements that have no form in it."""
    return header.to_json_dict(suppress_invalid_tags=True)
