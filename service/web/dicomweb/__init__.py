"""DICOMweb (PS3.18): studies searched, objects retrieved and stored, under /dicom-web."""
