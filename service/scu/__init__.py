"""The node as a client of other DICOM applications: echo, store, find, retrieve, storage commitment."""
