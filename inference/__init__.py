"""Volume in, masks out: knows models, not patients, jobs or DICOM."""
