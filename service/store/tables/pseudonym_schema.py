"""The tables of research copies, for queries; part of the same METADATA."""

from sqlalchemy import Column, ForeignKey, String, Table, Text, UniqueConstraint

from service.store.tables.schema import METADATA, UtcTime

# Research copies: a project's secret, and the links back from its pseudonyms and UIDs.
project = Table(
    "project",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("secret", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

pseudonym = Table(
    "pseudonym",
    METADATA,
    Column("project", String(64), ForeignKey("project.name"), primary_key=True),
    Column("patient_key", String(255), primary_key=True),
    Column("pseudonym", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("project", "pseudonym", name="pseudonym_once"),
)

uid_pair = Table(
    "uid_pair",
    METADATA,
    Column("project", String(64), ForeignKey("project.name"), primary_key=True),
    Column("replacement", String(64), primary_key=True),
    Column("original", String(64), nullable=False),
    UniqueConstraint("project", "original", name="uid_pair_once"),
)

original_study = Table(
    "original_study",
    METADATA,
    Column("project", String(64), ForeignKey("project.name"), primary_key=True),
    Column("study_uid", String(64), primary_key=True),
    Column("attributes", Text, nullable=False),  # DICOM JSON (PS3.18 F) of patient and study
)
