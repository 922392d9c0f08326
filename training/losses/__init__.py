"""The losses of the studies, one file per study; each ignores structures that were not drawn."""
