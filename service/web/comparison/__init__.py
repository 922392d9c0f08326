"""A second structure set beside a job's own: where it comes from, what may be compared, and how much they differ."""
