"""Parametric patients as DICOM CT with known masks."""
