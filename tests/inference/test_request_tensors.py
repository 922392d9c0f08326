"""What an answer must be before its bytes are taken for an array."""

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from inference.errors import ModelFailed
from inference.request_tensors import decoded

TENSOR = service_pb2.ModelInferResponse.InferOutputTensor(name="x", datatype="INT16", shape=[2, 3])


def test_bytes_beyond_the_shape_are_left_and_too_few_are_a_failure() -> None:
    raw = np.arange(7, dtype=np.int16).tobytes()
    assert decoded(raw, TENSOR, np.int16, "m: x").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert decoded(raw[:12], TENSOR, np.int16, "m: x").shape == (2, 3)
    with pytest.raises(ModelFailed, match=r"11 bytes came back for the shape \(2, 3\)"):
        decoded(raw[:11], TENSOR, np.int16, "m: x")


def test_a_missing_tensor_and_one_of_another_type_are_failures() -> None:
    with pytest.raises(ModelFailed, match="missing"):
        decoded(b"", None, np.int16, "m: x")
    with pytest.raises(ModelFailed, match="expected UINT8, found INT16"):
        decoded(bytes(12), TENSOR, np.uint8, "m: x")
