"""The tables of what a series says of itself and of what was measured in it, for queries; part of the same METADATA."""

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Index, Integer, String, Table, Text

from service.store.tables.schema import JOB_ID, METADATA, UtcTime

# A row per structure: those of the structure set in its order, then those of the model that are not in it.
structure_result = Table(
    "structure_result",
    METADATA,
    Column("job_id", JOB_ID, ForeignKey("job.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("code", String(64), nullable=False),  # the model's; empty if the structure is derived
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

# A row per series of a study. The columns up to `search_text` name the patient: they are emptied when the last file of
# the series is gone; the rest stays, so that a rule can be tried on past series.
series_fact = Table(
    "series_fact",
    METADATA,
    Column("series_uid", String(64), primary_key=True),
    Column("study_uid", String(64), primary_key=True),
    Column("patient_id", Text, nullable=False),
    Column("patient_name", Text, nullable=False),
    Column("accession_number", Text, nullable=False),
    Column("search_text", Text, nullable=False),  # folded: lower case, without accents
    Column("description", Text, nullable=False),
    Column("body_part", Text, nullable=False),
    Column("modality", String(16), nullable=False),
    Column("study_date", String(8), nullable=False),
    Column("attributes", JSON, nullable=False),  # keyword: text, of the attributes that rules may test
    Column("recorded_at", UtcTime, nullable=False),
    Column("patient_removed_at", UtcTime),
    Index("series_fact_patient_id", "patient_id"),
    Index("series_fact_accession_number", "accession_number"),
)
