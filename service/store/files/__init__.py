"""The folder of immutable files, and the disk under it."""
