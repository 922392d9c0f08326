"""The losses of the studies, one file a study; each is silent where nobody drew a structure."""
