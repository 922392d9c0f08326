"""From a folder of DICOM or NIfTI to a prepared dataset: found, named, rasterised, checked, split."""
