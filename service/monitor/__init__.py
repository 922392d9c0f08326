"""Monitor the node: poll it, serve metrics and health, and notify staff of problems."""
