"""Triton's entry to the model that gives back what it was sent."""

from inference.server.self_test_model import KnownTensorModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
