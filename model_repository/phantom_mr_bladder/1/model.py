"""The bladder of a T2-like MR phantom by a threshold on normalised signal. For trials of the node; contours no patient."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from scipy import ndimage

from inference.input_checksum import OUTPUT as SEEN
from inference.input_checksum import input_sha256

BODY_SHARE = 0.1  # of the 99.5th percentile: what is darker is air
LOWEST_SIGNAL = 1.0  # standard deviations above the mean of the body
SMOOTHING_VOXELS = 0.7


class TritonPythonModel:
    """One structure: the largest bright piece."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        image = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
        spacing = pb_utils.get_input_tensor_by_name(request, "spacing_mm").as_numpy()
        planes = bladder(image).astype(np.uint8)[None]
        mean = np.array([0.9 if planes.any() else 0.0], np.float32)
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor("masks", planes),
                pb_utils.Tensor("mean_probability", mean),
                pb_utils.Tensor(SEEN, input_sha256(image, spacing)),
            ]
        )


def bladder(image: np.ndarray) -> np.ndarray:
    """Signal (z, y, x) of any scale -> mask: smoothed z-score of the body above the threshold, largest piece."""
    body = image > BODY_SHARE * np.percentile(image, 99.5)
    if not body.any():
        return np.zeros(image.shape, bool)
    mean, sd = float(image[body].mean()), max(float(image[body].std()), 1e-6)
    bright = ndimage.gaussian_filter((image - mean) / sd, SMOOTHING_VOXELS) > LOWEST_SIGNAL
    pieces, count = ndimage.label(ndimage.binary_erosion(bright))
    if not count:
        return np.zeros(image.shape, bool)
    largest = pieces == np.bincount(pieces.ravel())[1:].argmax() + 1
    return np.asarray(ndimage.binary_dilation(largest) & bright)
