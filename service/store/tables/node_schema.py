"""The tables of the node itself, for queries: which node this is, and its rules; part of the same METADATA."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    false,
    text,
)

from service.store.states import RuleSetState
from service.store.tables.schema import METADATA, ROW_ID, UtcTime, checked_text

# One row: the node's identity, whether it is held, and its clock.
node = Table(
    "node",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("identity", String(36), nullable=False),  # the same in node.json of the storage folder
    Column(
        "generation", BigInteger, nullable=False
    ),  # increases every minute, first here and then in node.json
    Column("held_since", UtcTime),  # a person has to decide: nothing is contoured or delivered until then
    Column("held_reason", Text, nullable=False, server_default=""),
    Column("recovering_since", UtcTime),  # files without a row are being recorded
    Column("recovered_at", UtcTime),
    Column(
        "clock_at", UtcTime
    ),  # the last time at which the clock looked right, and the machine's uptime then
    Column("clock_boot_id", String(36), nullable=False, server_default=""),
    Column("clock_uptime_s", Double),
    Column(
        "clock_accepted_at", UtcTime
    ),  # a person confirmed the clock: rows up to this time are no reason to doubt it
    Column("clock_doubt", Text, nullable=False, server_default=""),
)

# Texts never change and rows are never removed: jobs and the audit trail name them.
rule_set = Table(
    "rule_set",
    METADATA,
    Column("number", ROW_ID, primary_key=True),
    Column("state", checked_text(RuleSetState, "rule_set_state"), nullable=False),
    Column("text", Text, nullable=False),
    Column("author", String(128), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("is_from_file", Boolean, nullable=False, server_default=false()),  # the settings file's rules
    Column("based_on", ROW_ID),  # the version that was active when it was written; NULL: the settings file's
    Column("restores", ROW_ID, ForeignKey("rule_set.number", name="rule_set_restores")),
    Column("made_at", UtcTime, nullable=False),
    Column("activated_by", String(128), nullable=False, server_default=""),
    Column("activated_at", UtcTime),
)
Index(
    "rule_set_active",
    rule_set.c.state,
    unique=True,
    sqlite_where=text("state = 'active'"),
    postgresql_where=text("state = 'active'"),
)
