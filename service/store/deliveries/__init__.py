"""Objects on their way to destinations."""
