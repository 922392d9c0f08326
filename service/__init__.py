"""The node: receive, assemble, work, send."""
