"""DICOM objects to arrays and geometry and back: pure, no disk, network, database or torch."""
