"""The audit trail's rows, and the pseudonyms of research copies."""
