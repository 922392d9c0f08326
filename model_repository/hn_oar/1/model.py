"""Triton's entry to the organ pipeline; what it computes is in spec.json and weights.safetensors beside it."""

from inference.server.organ_model import OrganModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
