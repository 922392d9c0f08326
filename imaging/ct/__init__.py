"""CT images in: headers, stored values as HU, slices placed in the patient."""
