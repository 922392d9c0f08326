"""Triton's entry: contract.json beside this file says what is loaded and how."""

from inference.server.triton_backend import ServedModel as TritonPythonModel

__all__ = ["TritonPythonModel"]
