"""QIDO-RS (PS3.18 10.6): studies, the series of a study, the instances of a series."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.tag import Tag
from starlette.responses import JSONResponse, Response

from imaging.dicom.patient_study import ALWAYS as PATIENT_AND_STUDY
from service.application import search_studies, series_of_listed
from service.store.jobs.kept_objects import KeptSeries, StudyQuery
from service.web.access import parts_of
from service.web.dicomweb.kept import (
    DICOM_JSON,
    PREFIX,
    Reading,
    Uid,
    as_json,
    by_uid,
    chosen,
    modality_of,
    objects_of,
    read_header,
)
from service.web.parts import WebParts

router = APIRouter(prefix=PREFIX, include_in_schema=False)
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
CONTROLS = frozenset({"limit", "offset", "fuzzymatching", "includefield"})
STUDY_KEYS = frozenset(
    {
        "StudyInstanceUID",
        "PatientID",
        "PatientName",
        "AccessionNumber",
        "StudyDate",
        "ModalitiesInStudy",
        "Modality",
    }
)
SERIES_KEYS = frozenset({"SeriesInstanceUID", "Modality"})
INSTANCE_KEYS = frozenset({"SOPInstanceUID", "SOPClassUID"})
OF_STUDY = ("SpecificCharacterSet", *PATIENT_AND_STUDY, "StudyInstanceUID", "StudyDescription")
OF_SERIES = (
    "SpecificCharacterSet",
    "Modality",
    "SeriesDate",
    "SeriesTime",
    "SeriesDescription",
    "SeriesInstanceUID",
    "SeriesNumber",
    "StudyInstanceUID",
    "BodyPartExamined",
    "Manufacturer",
)
OF_INSTANCE = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "Modality",
    "Rows",
    "Columns",
    "BitsAllocated",
    "NumberOfFrames",
)


@router.get("/studies")
def studies(request: Request, visitor: Reading, limit: Limit = 100, offset: Offset = 0) -> Response:
    """Return the studies that match the keys, newest first."""
    asked, ignored = _keys(request, STUDY_KEYS)
    first, last = _dates(asked.get("StudyDate", ""))
    modalities = _list(asked.get("ModalitiesInStudy", "")) or _list(asked.get("Modality", ""))
    wanted = StudyQuery(
        study_uids=_list(asked.get("StudyInstanceUID", "")),
        patient_name=asked.get("PatientName", ""),
        patient_id=asked.get("PatientID", ""),
        accession_number=asked.get("AccessionNumber", ""),
        date_from=first,
        date_to=last,
        modalities=modalities,
        limit=limit,
        offset=offset,
    )
    parts = parts_of(request)
    found = search_studies(parts.database, visitor.actor, wanted)
    listed = zip(found, series_of_listed(parts.database, visitor.actor, found), strict=True)
    rows = [_study(request, parts, uid, kept) for uid, kept in listed if kept]  # all may be removed since
    return _answer(rows, ignored)


@router.get("/studies/{study}/series")
def series(
    request: Request, visitor: Reading, study: Uid, limit: Limit = 1000, offset: Offset = 0
) -> Response:
    """Return the series of a study."""
    asked, ignored = _keys(request, SERIES_KEYS)
    parts = parts_of(request)
    wanted = _list(asked.get("SeriesInstanceUID", ""))
    rows = []
    objects = objects_of(request, visitor, study)
    for uid, one in by_uid(parts, [KeptSeries(first=one, instance_count=1) for one in objects]).items():
        if wanted and uid not in wanted:
            continue
        row = _some(read_header(parts, one.first), OF_SERIES)
        if asked.get("Modality", row.Modality) != row.Modality:
            continue
        row.NumberOfSeriesRelatedInstances = one.instance_count
        row.RetrieveURL = f"{_base(request)}/studies/{study}/series/{uid}"
        rows.append(row)
    return _answer(rows[offset : offset + limit], ignored)


@router.get("/studies/{study}/series/{series_uid}/instances")
def instances(
    request: Request, visitor: Reading, study: Uid, series_uid: Uid, limit: Limit = 1000, offset: Offset = 0
) -> Response:
    """Return the instances of a series."""
    asked, ignored = _keys(request, INSTANCE_KEYS)
    parts = parts_of(request)
    uids, classes = _list(asked.get("SOPInstanceUID", "")), _list(asked.get("SOPClassUID", ""))
    fitting = [
        one
        for one in chosen(request, visitor, study, series_uid, None)
        if (not uids or one.sop_instance_uid in uids)
        and (not classes or read_header(parts, one).SOPClassUID in classes)
    ]
    rows = []
    for one in fitting[offset : offset + limit]:
        row = _some(read_header(parts, one), OF_INSTANCE)
        row.RetrieveURL = (
            f"{_base(request)}/studies/{study}/series/{series_uid}/instances/{one.sop_instance_uid}"
        )
        rows.append(row)
    return _answer(rows, ignored)


def _study(request: Request, parts: WebParts, uid: str, kept: Sequence[KeptSeries]) -> Dataset:
    found = by_uid(parts, kept)
    row = _some(read_header(parts, kept[0].first), OF_STUDY)
    row.ModalitiesInStudy = sorted({modality_of(parts, one.first) for one in found.values()})
    row.NumberOfStudyRelatedSeries = len(found)
    row.NumberOfStudyRelatedInstances = sum(one.instance_count for one in found.values())
    row.RetrieveURL = f"{_base(request)}/studies/{uid}"
    return row


def _some(header: Dataset, keywords: Sequence[str]) -> Dataset:
    """Return these attributes; those that are missing are empty, or left out if they are numbers."""
    row = Dataset()
    for keyword in keywords:
        if keyword in header:
            row[keyword] = header[keyword]
        elif dictionary_VR(keyword) not in ("US", "IS"):
            setattr(row, keyword, "")
    return row


def _answer(rows: Sequence[Dataset], ignored: Sequence[str]) -> Response:
    headers = {}
    if ignored:
        headers["Warning"] = f'299 contour-node "not searched by: {", ".join(ignored)}"'
    if not rows:
        return Response(status_code=204, headers=headers)
    return JSONResponse([as_json(row) for row in rows], media_type=DICOM_JSON, headers=headers)


def _keys(request: Request, known: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Return the values of the known keys, by keyword, and the names of the unknown ones."""
    asked: dict[str, str] = {}
    ignored = []
    for name, value in request.query_params.multi_items():
        keyword = _keyword(name)
        if keyword in known:
            asked[keyword] = f"{asked[keyword]},{value}" if keyword in asked else value
        elif name == "fuzzymatching" and value == "true":
            ignored.append("fuzzymatching")
        elif name not in CONTROLS:
            ignored.append("".join(sign for sign in name if sign.isalnum())[:64])
    return asked, ignored


def _keyword(name: str) -> str:
    """Return the keyword of a key, which may be a tag (00100020); empty if there is none."""
    if len(name) == 8 and all(sign in "0123456789abcdefABCDEF" for sign in name):
        return keyword_for_tag(Tag(int(name, 16)))
    return name if tag_for_keyword(name) is not None else ""


def _list(value: str) -> list[str]:
    return [part for part in value.replace("\\", ",").split(",") if part]


def _dates(value: str) -> tuple[str, str]:
    """Return the first and last day of a date or a range of dates (PS3.4 C.2.2.2.5)."""
    if not value:
        return "", ""
    first, dash, last = value.partition("-")
    if any(day and (len(day) != 8 or not day.isdigit()) for day in (first, last)):
        raise HTTPException(400, f"StudyDate is YYYYMMDD, or a range of it with '-', not {value[:40]!r}.")
    return (first, last) if dash else (first, first)


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/") + PREFIX
