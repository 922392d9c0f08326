"""Tensors of one request: inputs for Triton, the largest possible outputs, and the arrays of an answer."""

from dataclasses import dataclass

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import DTypeLike, NDArray
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype

from inference.errors import ModelFailed


@dataclass(frozen=True, kw_only=True)
class Output:
    """The largest possible output, for which shared memory is reserved."""

    shape: tuple[int, ...]
    dtype: DTypeLike

    @property
    def size_bytes(self) -> int:
        """The largest size in bytes."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


def triton_input(name: str, tensor: NDArray[np.generic]) -> triton.InferInput:
    """Describe an input tensor for Triton; its values are passed separately."""
    return triton.InferInput(name, list(tensor.shape), np_to_triton_dtype(tensor.dtype))


def decoded(
    raw: bytes,
    tensor: service_pb2.ModelInferResponse.InferOutputTensor | None,
    dtype: DTypeLike,
    what: str,
) -> NDArray[np.generic]:
    """Return the array that an answer describes; raises ModelFailed where it is missing or does not fit.

    ``raw`` may be longer than the array (memory reserved for the largest answer).
    """
    if tensor is None:
        raise ModelFailed(f"model {what}: missing in the answer")
    expected = np_to_triton_dtype(np.dtype(dtype))
    if tensor.datatype != expected:
        raise ModelFailed(f"model {what}: expected {expected}, found {tensor.datatype}")
    shape = tuple(int(n) for n in tensor.shape)
    count = int(np.prod(shape, dtype=np.int64))
    if count * np.dtype(dtype).itemsize > len(raw):
        raise ModelFailed(f"model {what}: {len(raw)} bytes came back for the shape {shape}")
    return np.frombuffer(raw, dtype, count=count).reshape(shape)
