"""De-identification by PS3.15 Annex E, and re-identification of what was made on a de-identified copy."""

from imaging.deidentify.audit import (
    FoundIdentifier,
    find_identifiers,
    identifiers_of,
    listed_identities,
    together,
)
from imaging.deidentify.errors import DeidentificationRefused, ReidentificationRefused
from imaging.deidentify.options import DeidentificationOptions
from imaging.deidentify.pseudonyms import ProjectKey
from imaging.deidentify.reidentify import OriginalIdentity, reidentify, replacements_in, study_attributes
from imaging.deidentify.research_copy import ResearchCopy, deidentify, patient_key

__all__ = [
    "DeidentificationOptions",
    "DeidentificationRefused",
    "FoundIdentifier",
    "OriginalIdentity",
    "ProjectKey",
    "ReidentificationRefused",
    "ResearchCopy",
    "deidentify",
    "find_identifiers",
    "identifiers_of",
    "listed_identities",
    "patient_key",
    "reidentify",
    "replacements_in",
    "study_attributes",
    "together",
]
