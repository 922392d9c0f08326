"""The DICOM upper layer and DIMSE messages as a library that uses neither the database nor the settings."""
