"""De-identification by PS3.15 Annex E, and the way back for what was made on a de-identified copy."""

from imaging.deidentify.errors import DeidentificationRefused, ReidentificationRefused
from imaging.deidentify.keys import ProjectKey
from imaging.deidentify.options import Options
from imaging.deidentify.research_copy import ResearchCopy, deidentify, patient_key
from imaging.deidentify.way_back import Origin, reidentify, replacements_in, study_attributes

__all__ = [
    "DeidentificationRefused",
    "Options",
    "Origin",
    "ProjectKey",
    "ReidentificationRefused",
    "ResearchCopy",
    "deidentify",
    "patient_key",
    "reidentify",
    "replacements_in",
    "study_attributes",
]
