"""Pipelines: how a volume is passed through networks, whole, in tiles or slice by slice."""
