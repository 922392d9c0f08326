"""Nine structures: structure i is where the CT is 1000 + i. The first voxel orders a mood instead."""

import time

import numpy as np
import triton_python_backend_utils as pb_utils

from inference.input_checksum import OUTPUT as SEEN
from inference.input_checksum import input_sha256

SLEEP, FAIL, WRONG_SHAPE, WRONG_TYPE, SPACING, OTHER_VOLUME = 2001, 2002, 2003, 2004, 2005, 2006


class TritonPythonModel:
    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        image = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
        spacing = pb_utils.get_input_tensor_by_name(request, "spacing_mm").as_numpy()
        mood = int(image[0, 0, 0])
        if mood == SLEEP:
            time.sleep(float(spacing[0]))
        if mood == FAIL:
            raise ValueError("in a bad mood")
        planes = np.zeros((2, *image.shape), np.uint8)
        for i in range(9):
            planes[i // 8] |= (image == 1000 + i).astype(np.uint8) << (i % 8)
        means = np.linspace(0.1, 0.9, 9).astype(np.float32)
        if mood == SPACING:
            means[:3] = spacing
        if mood == WRONG_SHAPE:
            planes = planes[:, :-1]
        if mood == WRONG_TYPE:
            planes = planes.astype(np.int16)
        if mood == OTHER_VOLUME:
            image = image + np.int16(1)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("masks", planes),
                pb_utils.Tensor("mean_probability", means),
                pb_utils.Tensor(SEEN, input_sha256(image, spacing)),
            ]
        )
