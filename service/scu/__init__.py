"""The node as a client of other DICOM applications: echo, store, and what their answers mean."""
