"""One file a runtime: how a package of each kind is loaded inside Triton."""
