"""The DICOM objects that the node keeps, by study: what it received, and what it made from that."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, func, select

from service.config import JobPurpose
from service.store.jobs.artifacts import file_of
from service.store.jobs.row_mapping import instance_of
from service.store.records import StoredFile
from service.store.states import ArtifactRole
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import instance, job
from service.store.tables.structure_schema import series_fact

ESCAPE = "\\"


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


def find_studies(connection: Connection, wanted: StudyQuery) -> list[str]:
    """Return the UIDs of the studies of which a received object is kept, newest first."""
    query = (
        select(instance.c.study_uid)
        .where(instance.c.removed_at.is_(None))
        .group_by(instance.c.study_uid)
        .order_by(func.max(instance.c.id).desc())
        .limit(wanted.limit)
        .offset(wanted.offset)
    )
    if wanted.study_uids:
        query = query.where(instance.c.study_uid.in_(wanted.study_uids))
    said = _said(wanted)
    if said:
        query = query.where(instance.c.study_uid.in_(select(series_fact.c.study_uid).where(*said)))
    if wanted.modalities:
        received = select(instance.c.study_uid).where(instance.c.modality.in_(wanted.modalities))
        of_modality: ColumnElement[bool] = instance.c.study_uid.in_(received)
        if "RTSTRUCT" in wanted.modalities:
            made = select(job.c.study_uid).where(job.c.has_result, job.c.purpose == JobPurpose.CLINICAL)
            of_modality |= instance.c.study_uid.in_(made)
        query = query.where(of_modality)
    return list(connection.execute(query).scalars())


def read_study(connection: Connection, study_uid: str) -> StudyObjects:
    """Return what is kept of a study: received objects, and results and reports of clinical jobs; one for each UID.

    Results of evaluation and shadow jobs are never delivered, and are left out here too.
    """
    found = connection.execute(
        select(instance).where(instance.c.study_uid == study_uid).order_by(instance.c.id)
    ).all()
    received = [instance_of(row) for row in found if row.removed_at is None]
    objects = {
        one.sop_instance_uid: KeptObject(
            study_uid=study_uid,
            sop_instance_uid=one.sop_instance_uid,
            file=one.file,
            series_uid=one.series_uid,
            sop_class_uid=one.sop_class_uid,
            modality=one.modality,
            transfer_syntax_uid=one.transfer_syntax_uid,
        )
        for one in received
    }
    made = connection.execute(
        select(artifact)
        .join(job, job.c.id == artifact.c.job_id)
        .where(
            job.c.study_uid == study_uid,
            job.c.purpose == JobPurpose.CLINICAL,
            artifact.c.role != ArtifactRole.RETURNED,  # those are among the received instances
            artifact.c.sop_instance_uid != "",
            artifact.c.removed_at.is_(None),
        )
        .order_by(artifact.c.id.desc())  # newest first: profiles may have made several with one UID
    )
    for (
        row
    ) in made:  # a received object wins: a planning system may send one back under the same UID, changed
        objects.setdefault(
            row.sop_instance_uid,
            KeptObject(study_uid=study_uid, sop_instance_uid=row.sop_instance_uid, file=file_of(row)),
        )
    return StudyObjects(objects=list(objects.values()), removed=len(found) - len(received))


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
