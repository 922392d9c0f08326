"""Reading CT images: headers, stored values as HU, slices placed in the patient."""
