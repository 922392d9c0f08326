"""The rows of the audit trail, and the pseudonyms of research copies."""
