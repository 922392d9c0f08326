"""Inference: a volume in, masks out. It knows models, but no patients, jobs or DICOM."""
