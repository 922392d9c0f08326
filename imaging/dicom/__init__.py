"""DICOM streams, UIDs, decimal strings and the patient's and study's attributes."""
