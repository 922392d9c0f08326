"""What may be removed, and what must be verified."""
