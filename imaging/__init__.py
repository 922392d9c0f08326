"""DICOM objects to arrays and geometry and back; no network, database or torch, and no files but `atomic_files`."""
