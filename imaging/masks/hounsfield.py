"""CT values that separate one tissue from another."""

BODY_THRESHOLD_HU = -350
"""Voxels denser than this may be the patient; the others are air or lung."""
