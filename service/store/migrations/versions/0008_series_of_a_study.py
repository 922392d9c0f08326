"""A series is known by its study too; jobs with nothing to contour; what a structure set replaces or doubts."""

from collections.abc import Sequence
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

JOB_STATES = (
    "received",
    "waiting",
    "queued",
    "running",
    "delivering",
    "done",
    "refused",
    "nothing_to_contour",
    "failed",
    "parked",
    "cancelled",
    "superseded",
)
EVENT_KINDS = (
    "opened",
    "held",
    "sealed",
    "claimed",
    "lease expired",
    "stage",
    "postponed",
    "failed",
    "parked",
    "refused",
    "nothing to contour",
    "finished",
    "note",
    "sent",
    "send failed",
    "send rejected",
    "unconfirmed",
    "confirmed",
    "fallback",
    "notice",
    "done",
    "cancelled",
    "retried",
    "superseded",
    "sent again",
    "conflict",
)
OPEN = "state IN ('received', 'waiting')"
CONTOURED = "content_hash IS NOT NULL AND state NOT IN ('superseded', 'cancelled', 'refused')"
INDEXES = {
    "job_open": (OPEN, ("called_aet", "calling_aet")),
    "job_content": (
        CONTOURED,
        ("content_hash", "rule", "model", "model_version", "calling_aet", "pass_number"),
    ),
}
TEXT, NUMBER = sa.String(length=64), sa.Integer()
TIME = sa.DateTime(timezone=True)
instance = sa.table(
    "instance",
    *(sa.column(name, TEXT) for name in ("series_uid", "study_uid")),
    sa.column("id", sa.BigInteger()),
    sa.column("received_at", TIME),
)
arrival = sa.table(
    "arrival",
    sa.column("instance_id", sa.BigInteger()),
    *(sa.column(name, TEXT) for name in ("called_aet", "calling_aet")),
    sa.column("version", NUMBER),
)
job = sa.table(
    "job",
    sa.column("uid", sa.Uuid()),
    *(
        sa.column(name, TEXT)
        for name in ("series_uid", "study_uid", "called_aet", "calling_aet", "state", "reason")
    ),
    *(sa.column(name, NUMBER) for name in ("id", "version", "slice_count")),
    *(sa.column(name, TIME) for name in ("received_at", "last_received_at")),
)
SECOND_STUDY = (
    "these images came under the Series Instance UID (0020,000E) of another study, before studies were told apart; "
    "`retry` contours them"
)


def upgrade() -> None:
    view = _drop_view()
    for name in INDEXES:
        op.drop_index(name, table_name="job")
    _change_job()
    _change_instance()
    _allow("job_event", {"event_kind": ("kind", EVENT_KINDS), **_states("event_from", "event_to")})
    for name, (condition, columns) in INDEXES.items():
        op.create_index(
            name,
            "job",
            ["series_uid", "study_uid", *columns],
            unique=True,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
    _part_by_study()
    if view:
        op.execute(view)


def _drop_view() -> str:
    """SQLite copies the tables that the view reads; give its text, to be made again."""
    if op.get_bind().dialect.name != "sqlite":
        return ""
    query = sa.text("SELECT sql FROM sqlite_master WHERE name = 'job_status'")
    text = str(op.get_bind().execute(query).scalar_one())
    op.execute("DROP VIEW job_status")
    return text


def _change_job() -> None:
    with op.batch_alter_table("job", table_kwargs={"sqlite_autoincrement": True}) as batch:
        batch.drop_constraint("job_state", type_="check")
        batch.create_check_constraint("job_state", _one_of("state", JOB_STATES))
        batch.drop_constraint("job_version", type_="unique")
        batch.create_unique_constraint(
            "job_version", ["series_uid", "study_uid", "called_aet", "calling_aet", "version"]
        )
        batch.add_column(sa.Column("doubt", sa.Text(), server_default="", nullable=False))
        batch.add_column(sa.Column("set_version", sa.Integer(), server_default="1", nullable=False))
        batch.add_column(sa.Column("replaces", sa.Integer(), nullable=True))
        batch.create_foreign_key("job_replaces", "job", ["replaces"], ["id"])


def _change_instance() -> None:
    names = {"uq": "%(table_name)s_%(column_0_name)s_key"}  # as Postgres has them; SQLite has none
    with op.batch_alter_table("instance", naming_convention=names) as batch:
        batch.drop_constraint("instance_sop_instance_uid_key", type_="unique")
        batch.create_unique_constraint("instance_once", ["sop_instance_uid", "study_uid"])


def _states(*which: str) -> dict[str, tuple[str, Sequence[str]]]:
    columns = {"event_from": "from_state", "event_to": "to_state"}
    return {f"{name}_state": (columns[name], JOB_STATES) for name in which}


def _allow(table: str, checks: dict[str, tuple[str, Sequence[str]]]) -> None:
    """Set which values columns may have; SQLite can do that only by copying the table."""
    with op.batch_alter_table(table) as batch:
        for name, (column, values) in checks.items():
            batch.drop_constraint(name, type_="check")
            batch.create_check_constraint(name, _one_of(column, values))


def _one_of(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def _part_by_study() -> None:
    """Give the images of a second study, which stood in the first one's job, a job of their own; a person decides."""
    connection = op.get_bind()
    key = (instance.c.series_uid, instance.c.study_uid, arrival.c.called_aet, arrival.c.calling_aet)
    groups = connection.execute(
        sa.select(
            *key,
            sa.func.max(arrival.c.version).label("version"),
            sa.func.count().label("slice_count"),
            sa.func.min(instance.c.received_at, type_=TIME).label("received_at"),
            sa.func.max(instance.c.received_at, type_=TIME).label("last_received_at"),
        )
        .join(arrival, arrival.c.instance_id == instance.c.id)
        .where(~_has_job())
        .group_by(*key)
    ).all()
    for group in groups:
        of_the_series = sa.and_(
            *(job.c[name] == group._mapping[name] for name in ("series_uid", "called_aet", "calling_aet"))
        )
        connection.execute(sa.update(job).where(of_the_series).values(slice_count=_own_slices()))
        values = {"uid": uuid4(), "state": "refused", "reason": SECOND_STUDY}
        connection.execute(sa.insert(job).values(**group._mapping, **values))


def _has_job() -> sa.ColumnElement[bool]:
    return (
        sa.select(job.c.id)
        .where(
            job.c.series_uid == instance.c.series_uid,
            job.c.study_uid == instance.c.study_uid,
            job.c.called_aet == arrival.c.called_aet,
            job.c.calling_aet == arrival.c.calling_aet,
        )
        .exists()
    )


def _own_slices() -> sa.ScalarSelect[int]:
    return (
        sa.select(sa.func.count())
        .select_from(arrival)
        .join(instance, instance.c.id == arrival.c.instance_id)
        .where(
            instance.c.series_uid == job.c.series_uid,
            instance.c.study_uid == job.c.study_uid,
            arrival.c.called_aet == job.c.called_aet,
            arrival.c.calling_aet == job.c.calling_aet,
            arrival.c.version <= job.c.version,
        )
        .correlate(job)
        .scalar_subquery()
    )
