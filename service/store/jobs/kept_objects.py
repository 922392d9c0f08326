"""The DICOM objects that the node keeps, by study: what it received, and what it made from that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Row, exists, func, select

from service.config import JobPurpose
from service.store.jobs.artifacts import file_of
from service.store.jobs.row_mapping import instance_of
from service.store.records import StoredFile
from service.store.states import ArtifactRole
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import instance, job
from service.store.tables.structure_schema import series_fact

ESCAPE = "\\"
IS_THERE = instance.c.removed_at.is_(None)


@dataclass(frozen=True, kw_only=True)
class StudyQuery:
    """Which studies are asked for; an empty value matches any.

    `patient_name`, `patient_id` and `accession_number` may contain the wildcards * and ?, and are compared without
    regard to case. Dates are in DICOM's form (YYYYMMDD).
    """

    study_uids: Sequence[str] = ()
    patient_name: str = ""
    patient_id: str = ""
    accession_number: str = ""
    date_from: str = ""
    date_to: str = ""
    modalities: Sequence[str] = ()
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, kw_only=True)
class KeptObject:
    """An object and its file. For an object that the node made, the other fields are empty: only its file has them."""

    study_uid: str
    sop_instance_uid: str
    file: StoredFile
    series_uid: str = ""
    sop_class_uid: str = ""
    modality: str = ""
    transfer_syntax_uid: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyObjects:
    """The objects of a study that are kept, and how many received ones retention has removed."""

    objects: Sequence[KeptObject]
    removed: int


@dataclass(frozen=True, kw_only=True)
class KeptSeries:
    """A series by one of its objects, and how many there are."""

    first: KeptObject
    instance_count: int


def find_studies(connection: Connection, wanted: StudyQuery) -> list[str]:
    """Return the UIDs of studies of which a received object is there, the newest first.

    Looks into an index twice for each study that fits the texts, however many objects it has.
    """
    said = _said(wanted)
    if wanted.study_uids:
        of_name = select(instance.c.study_uid).where(instance.c.study_uid.in_(wanted.study_uids), IS_THERE)
        if said:
            of_name = of_name.where(instance.c.study_uid.in_(select(series_fact.c.study_uid).where(*said)))
        study = of_name.distinct().cte("study")
    elif said:
        study = select(series_fact.c.study_uid).where(*said).distinct().cte("study")
    else:
        study = _every_study()
    uid = study.c.study_uid
    newest = select(func.max(instance.c.id)).where(instance.c.study_uid == uid, IS_THERE).scalar_subquery()
    query = select(uid).where(newest.is_not(None)).order_by(newest.desc())
    if wanted.modalities:
        received = instance.c.study_uid == uid, IS_THERE, instance.c.modality.in_(wanted.modalities)
        of_modality: ColumnElement[bool] = exists().where(*received)
        if "RTSTRUCT" in wanted.modalities:
            made = job.c.study_uid == uid, job.c.has_result, job.c.purpose == JobPurpose.CLINICAL
            of_modality |= exists().where(*made)
        query = query.where(of_modality)
    return list(connection.execute(query.limit(wanted.limit).offset(wanted.offset)).scalars())


def read_study(
    connection: Connection,
    study_uid: str,
    *,
    series_uid: str | None = None,
    sop_instance_uid: str | None = None,
) -> StudyObjects:
    """Return what is kept of a study: received objects, and results and reports of clinical jobs; one for each UID.

    What was made for evaluation or beside another job is never delivered, and is not given here.

    Args:
        connection: to the node's database.
        study_uid: the Study Instance UID.
        series_uid: received objects of this series alone; those that the node made are of any, for their series stands
            in their files.
        sop_instance_uid: this object alone.
    """
    query = select(instance).where(instance.c.study_uid == study_uid).order_by(instance.c.id)
    if series_uid is not None:
        query = query.where(instance.c.series_uid == series_uid)
    if sop_instance_uid is not None:
        query = query.where(instance.c.sop_instance_uid == sop_instance_uid)
    found = connection.execute(query).all()
    received = [_received(row) for row in found if row.removed_at is None]
    objects = {one.sop_instance_uid: one for one in received}
    if sop_instance_uid is None or not received:
        for one in _made(connection, study_uid, sop_instance_uid):
            objects.setdefault(one.sop_instance_uid, one)
    return StudyObjects(objects=list(objects.values()), removed=len(found) - len(received))


def read_series(connection: Connection, study_uid: str) -> list[KeptSeries]:
    """Return the series of a study by their first object; each object that the node made as a series of its own."""
    of_study = instance.c.study_uid == study_uid, IS_THERE
    counted = (
        select(func.min(instance.c.id).label("first"), func.count().label("number"))
        .where(*of_study)
        .group_by(instance.c.series_uid)
        .subquery()
    )
    rows = connection.execute(
        select(instance, counted.c.number)
        .join(counted, counted.c.first == instance.c.id)
        .order_by(instance.c.id)
    )
    found = [KeptSeries(first=_received(row), instance_count=row.number) for row in rows]
    made = {one.sop_instance_uid: one for one in _made(connection, study_uid)[::-1]}
    came = select(instance.c.sop_instance_uid).where(*of_study, instance.c.sop_instance_uid.in_(made))
    for uid in connection.execute(came).scalars() if made else ():
        del made[uid]
    return found + [KeptSeries(first=one, instance_count=1) for one in made.values()]


def _every_study() -> CTE:
    """Step from one study of the index to the next, past all the objects between."""
    first = (
        select(func.min(instance.c.study_uid).label("study_uid")).where(IS_THERE).cte("study", recursive=True)
    )
    after = select(func.min(instance.c.study_uid)).where(instance.c.study_uid > first.c.study_uid, IS_THERE)
    return first.union_all(select(after.scalar_subquery()).where(first.c.study_uid.is_not(None)))


def _received(row: Row[Any]) -> KeptObject:
    one = instance_of(row)
    return KeptObject(
        study_uid=row.study_uid,
        sop_instance_uid=one.sop_instance_uid,
        file=one.file,
        series_uid=one.series_uid,
        sop_class_uid=one.sop_class_uid,
        modality=one.modality,
        transfer_syntax_uid=one.transfer_syntax_uid,
    )


def _made(connection: Connection, study_uid: str, sop_instance_uid: str | None = None) -> list[KeptObject]:
    """Return what clinical jobs made of a study, the newest first: those that profiles made have one UID.

    One that a planning system changed and sent back under the same UID is among what was received.
    """
    query = (
        select(artifact)
        .join(job, job.c.id == artifact.c.job_id)
        .where(
            job.c.study_uid == study_uid,
            job.c.purpose == JobPurpose.CLINICAL,
            artifact.c.role != ArtifactRole.RETURNED,
            artifact.c.sop_instance_uid != "",
            artifact.c.removed_at.is_(None),
        )
        .order_by(artifact.c.id.desc())
    )
    if sop_instance_uid is not None:
        query = query.where(artifact.c.sop_instance_uid == sop_instance_uid)
    return [
        KeptObject(study_uid=study_uid, sop_instance_uid=row.sop_instance_uid, file=file_of(row))
        for row in connection.execute(query)
    ]


def _said(wanted: StudyQuery) -> list[ColumnElement[bool]]:
    columns = series_fact.c
    said: list[ColumnElement[bool]] = [
        func.lower(column).like(_pattern(text), escape=ESCAPE)
        for column, text in (
            (columns.patient_name, wanted.patient_name),
            (columns.patient_id, wanted.patient_id),
            (columns.accession_number, wanted.accession_number),
        )
        if text
    ]
    if wanted.date_from:
        said.append(columns.study_date >= wanted.date_from)
    if wanted.date_to:
        said += [columns.study_date <= wanted.date_to, columns.study_date != ""]
    return said


def _pattern(text: str) -> str:
    """Return the LIKE pattern for a text with DICOM's wildcards (PS3.4 C.2.2.2.4)."""
    for sign in (ESCAPE, "%", "_"):
        text = text.replace(sign, ESCAPE + sign)
    return text.lower().replace("*", "%").replace("?", "_")
