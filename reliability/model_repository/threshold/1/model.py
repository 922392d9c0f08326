"""Two structures by threshold: a model for trials of the node, no organs. Obeys the interface of a contouring model."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from inference.input_checksum import OUTPUT as SEEN
from inference.input_checksum import input_sha256

LOWEST_HU = (50, 500)


class TritonPythonModel:
    """Structure i is where the image is at least LOWEST_HU[i]."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        image = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
        spacing = pb_utils.get_input_tensor_by_name(request, "spacing_mm").as_numpy()
        planes = np.zeros((1, *image.shape), np.uint8)
        for bit, lowest in enumerate(LOWEST_HU):
            planes[0] |= (image >= lowest).astype(np.uint8) << bit
        means = np.full(len(LOWEST_HU), 0.9, np.float32)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("masks", planes),
                pb_utils.Tensor("mean_probability", means),
                pb_utils.Tensor(SEEN, input_sha256(image, spacing)),
            ]
        )
