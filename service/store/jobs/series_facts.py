"""What the images of a series say about it: recorded when the series is inspected, searched by people."""

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from service.store.database import Database
from service.store.tables.artifact_schema import artifact
from service.store.tables.schema import instance, job
from service.store.tables.structure_schema import series_fact

PATIENT_COLUMNS = ("patient_id", "patient_name", "accession_number", "search_text")


@dataclass(frozen=True, kw_only=True)
class SeriesHeader:
    """What the first image of a series says; an absent attribute is an empty text.

    `patient_name` is in DICOM's form, with its component groups ("Yamada^Tarou=山田^太郎"). `attributes` are the
    values, by keyword, that rules may test. None of them is checked: they are as the sender sent them.
    """

    series_uid: str
    study_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    description: str
    body_part: str
    modality: str
    study_date: str
    attributes: Mapping[str, str]


def folded(text: str) -> str:
    """Fold a text for searching: lower case, no accents, the separators of names as spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(bare.replace("^", " ").replace("=", " ").split())


def record_series(database: Database, header: SeriesHeader) -> None:
    """Record what a series says of itself, in place of what it said before."""
    said = (header.patient_name, header.patient_id, header.accession_number, header.description)
    values: dict[str, Any] = {
        **asdict(header),
        "search_text": folded("  ".join(said)),
        "recorded_at": database.clock(),
        "patient_removed_at": None,
    }
    changed = {name: value for name, value in values.items() if name not in ("series_uid", "study_uid")}
    with database.writing() as connection:
        connection.execute(
            database.insert(series_fact)
            .values(values)
            .on_conflict_do_update(index_elements=["series_uid", "study_uid"], set_=changed)
        )


def read_series(connection: Connection, series_uid: str, study_uid: str) -> SeriesHeader | None:
    """Return what a series says of itself; None if it was never inspected."""
    query = select(series_fact).where(
        series_fact.c.series_uid == series_uid, series_fact.c.study_uid == study_uid
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else header_of(row)


def find_series_headers(
    connection: Connection, wanted: Mapping[str, str], *, limit: int
) -> list[SeriesHeader]:
    """Return what the series with these exact values of columns say of themselves, newest first."""
    query = (
        select(series_fact).order_by(series_fact.c.recorded_at.desc(), series_fact.c.series_uid).limit(limit)
    )
    for column, value in wanted.items():
        query = query.where(series_fact.c[column] == value)
    return [header_of(row) for row in connection.execute(query)]


def header_of(row: Row[Any]) -> SeriesHeader:
    """Return a row of the table series_fact as a value."""
    return SeriesHeader(**{name: row._mapping[name] for name in SeriesHeader.__dataclass_fields__})


def forget_patients(database: Database) -> int:
    """Empty the columns that name the patient of every series of which no file is left; return their number."""
    same = (instance.c.series_uid == series_fact.c.series_uid) & (
        instance.c.study_uid == series_fact.c.study_uid
    )
    made = (job.c.series_uid == series_fact.c.series_uid) & (job.c.study_uid == series_fact.c.study_uid)
    has_image = exists().where(same, instance.c.removed_at.is_(None))
    has_result = exists().where(made, artifact.c.job_id == job.c.id, artifact.c.removed_at.is_(None))
    with database.writing() as connection:
        emptied = connection.execute(
            update(series_fact)
            .where(series_fact.c.patient_removed_at.is_(None), ~has_image, ~has_result)
            .values(patient_removed_at=database.clock(), **dict.fromkeys(PATIENT_COLUMNS, ""))
        )
        return emptied.rowcount
