"""The DICOM upper layer and DIMSE messages as a library: it knows neither database nor settings."""
