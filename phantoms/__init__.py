"""Phantoms: parametric patients as DICOM CT or MR, with exactly known masks."""
