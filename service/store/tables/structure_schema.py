"""The table of what was measured of each structure of a job, for queries; part of the same METADATA."""

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Integer, String, Table

from service.store.tables.schema import JOB_ID, METADATA

# A row a structure: those of the structure set in its order, then those of the model that are not in it.
structure_result = Table(
    "structure_result",
    METADATA,
    Column("job_id", JOB_ID, ForeignKey("job.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("code", String(64), nullable=False),  # the model's; empty where the structure is derived
    Column("name", String(64), nullable=False),  # as sent
    Column("is_sent", Boolean, nullable=False),
    Column("volume_cc", Double, nullable=False),
    Column("slices", Integer, nullable=False),
    Column("pieces", Integer, nullable=False),
    Column("mean_probability", Double),
    Column("edges", String(64), nullable=False),  # sides of the field that it touches: "inferior, left"
    Column("findings", JSON, nullable=False),
    Column("trust", Double),
)
