"""The table of what the images of a series say of it, for queries; part of the same METADATA."""

from sqlalchemy import JSON, Column, Index, String, Table, Text

from service.store.tables.schema import METADATA, UtcTime

# A row a series of a study. The columns up to `search_text` name the patient: they are emptied when the last file of the
# series is gone; the rest stays, so that a rule can be tried on series of the past.
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
    Column("attributes", JSON, nullable=False),  # keyword: text, of what rules may ask
    Column("recorded_at", UtcTime, nullable=False),
    Column("patient_removed_at", UtcTime),
    Index("series_fact_patient_id", "patient_id"),
    Index("series_fact_accession_number", "accession_number"),
)
