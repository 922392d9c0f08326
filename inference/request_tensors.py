"""Tensors of one request: what is given to Triton, what an answer may be, and the arrays that it describes."""

from dataclasses import dataclass

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import DTypeLike, NDArray
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype

from inference.errors import ModelFailed


@dataclass(frozen=True, kw_only=True)
class Output:
    """What an answer may be at most: shared memory has to be reserved for it."""

    shape: tuple[int, ...]
    dtype: DTypeLike

    @property
    def size_bytes(self) -> int:
        """Its size at most."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


def triton_input(name: str, tensor: NDArray[np.generic]) -> triton.InferInput:
    """Announce an input tensor; its values are given separately."""
    return triton.InferInput(name, list(tensor.shape), np_to_triton_dtype(tensor.dtype))


def decoded(
    raw: bytes,
    tensor: service_pb2.ModelInferResponse.InferOutputTensor | None,
    dtype: DTypeLike,
    what: str,
) -> NDArray[np.generic]:
    """Return the array that an answer describes.

    ``raw`` may be longer than it (memory reserved for the largest answer).
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
