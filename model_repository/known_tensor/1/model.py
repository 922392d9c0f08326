"""Triton's entry to the model that gives back what it was sent."""

from inference.server.known_tensor_model import KnownTensorModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
