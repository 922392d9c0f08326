"""The page's people, sessions and tokens, and the lists that it shows."""
