"""Runtimes, one file each: how a package of each kind is loaded inside Triton."""
