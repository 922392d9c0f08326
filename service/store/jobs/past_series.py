"""Past series as rules would see them: each by its newest job that is not a shadow job."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, select

from imaging.ct.image_kinds import cone_beam_sign
from imaging.modality import Modality
from service.config import JobPurpose, SeriesFacts
from service.store.tables.schema import job
from service.store.tables.structure_schema import series_fact


@dataclass(frozen=True, kw_only=True)
class PastSeries:
    """A series that was received, the facts that rules may test, and the rule that took it; empty if none did."""

    job_id: int
    rule: str
    facts: SeriesFacts


@dataclass(frozen=True)
class _Attributes:
    """The attributes of a series' first image, in the form in which `imaging` reads them."""

    values: dict[str, str]

    def text(self, keyword: str) -> str:
        return self.values.get(keyword, "")


def read_past_series(connection: Connection, limit: int) -> list[PastSeries]:
    """Return the newest series that were inspected, newest first; their facts outlast the images.

    Args:
        connection: of the transaction.
        limit: how many jobs are considered.
    """
    newest = (
        select(job)
        .where(job.c.superseded_by.is_(None), job.c.purpose != JobPurpose.SHADOW)
        .order_by(job.c.id.desc())
        .limit(limit)
        .subquery()
    )
    its_series = and_(
        series_fact.c.series_uid == newest.c.series_uid, series_fact.c.study_uid == newest.c.study_uid
    )
    query = (
        select(
            newest.c.id,
            newest.c.rule,
            newest.c.called_aet,
            newest.c.calling_aet,
            series_fact.c.modality,
            series_fact.c.body_part,
            series_fact.c.description,
            series_fact.c.attributes,
        )
        .join(series_fact, its_series)
        .order_by(newest.c.id.desc())
    )
    return [
        PastSeries(
            job_id=row.id,
            rule=row.rule,
            facts=SeriesFacts(
                called_aet=row.called_aet,
                calling_aet=row.calling_aet,
                modality=_modality(row.modality, row.attributes),
                body_part=row.body_part,
                series_description=row.description,
            ),
        )
        for row in connection.execute(query)
    ]


def _modality(said: str, attributes: dict[str, str]) -> Modality:
    if said == "MR":
        return Modality.MR
    return Modality.CBCT if cone_beam_sign(_Attributes(attributes)) else Modality.CT
