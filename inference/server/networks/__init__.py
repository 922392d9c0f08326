"""One file a network architecture."""
