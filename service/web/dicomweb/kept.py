"""What routes read of a study: its objects and their headers; the audit trail has the look before the answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Annotated, BinaryIO

from fastapi import Depends, HTTPException, Path, Request
from pydicom import Dataset, FileDataset, dcmread
from pydicom.errors import InvalidDicomError

from service.application import Operation, study_objects
from service.errors import Refused
from service.store import FileDamaged, FileLost
from service.store.jobs.kept_objects import KeptObject, KeptSeries
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


def objects_of(
    request: Request,
    visitor: Visitor,
    study_uid: str,
    series_uid: str | None = None,
    instance: str | None = None,
) -> Sequence[KeptObject]:
    """Return the objects of a study, or of a series or one of them; the look stands in the trail, once a minute.

    Of a series, those that the node made are of any.

    Raises:
        HTTPException: 404, nothing of it was ever received; 410, retention has removed all of it.
        NotPermitted: the visitor may not see it.
    """
    parts = parts_of(request)
    is_recorded = parts.recent_looks.is_first((visitor.actor, "dicomweb", study_uid))
    found = study_objects(
        parts.database,
        visitor.actor,
        study_uid,
        series_uid=series_uid,
        sop_instance_uid=instance,
        is_recorded=is_recorded,
    )
    if found.objects:
        return found.objects
    if found.removed:
        raise HTTPException(410, f"Removed by retention: {found.removed} objects that were asked for.")
    raise HTTPException(404, "The node has no such object.")


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
    """Return an object's Series Instance UID; of one that the node made, it stands in the file."""
    return kept.series_uid or _shelved(parts, kept)[0]


def modality_of(parts: WebParts, kept: KeptObject) -> str:
    """Return an object's Modality; of one that the node made, it stands in the file."""
    return kept.modality or _shelved(parts, kept)[1]


def _shelved(parts: WebParts, kept: KeptObject) -> tuple[str, str]:
    """Return the series and the modality that a file names; it never changes."""

    def read() -> tuple[str, str]:
        header = read_header(parts, kept)
        return str(header.SeriesInstanceUID), str(header.get("Modality", ""))

    return parts.header_shelf.get(kept.file.sha256, read)


def by_uid(parts: WebParts, found: Sequence[KeptSeries]) -> Mapping[str, KeptSeries]:
    """Return the series of a study by their UIDs, with what the node made of it."""
    merged: dict[str, KeptSeries] = {}
    for one in found:
        uid = series_uid_of(parts, one.first)
        before = merged.setdefault(uid, one)
        if before is not one:
            merged[uid] = replace(before, instance_count=before.instance_count + one.instance_count)
    return merged


def chosen(
    request: Request, visitor: Visitor, study: str, series: str | None, instance: str | None
) -> Sequence[KeptObject]:
    """Return a study's objects, or those of a series, or one of them; raises as objects_of()."""
    objects = objects_of(request, visitor, study, series, instance)
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
