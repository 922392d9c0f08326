"""DIMSE out: structure sets to their destinations by C-STORE, again and again until one takes it or says never."""
