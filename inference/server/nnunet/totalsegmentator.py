"""What TotalSegmentator 2.18 does before and after nnU-Net, as on a processor.

Arrays here are (x, y, z): interpolated values are truncated to whole numbers, so the order of axes affects
the result.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.contract.nnunet import TotalSegmentatorSteps
from inference.server.nnunet.label_maps import Labels
from inference.server.predictor import Spacing

_LEAST_SLICES = 200  # a volume with fewer is not split


def to_model_voxels(
    image_zyx: NDArray[np.float32], spacing_zyx_mm: Spacing, steps: TotalSegmentatorSteps
) -> tuple[NDArray[np.float32], Spacing]:
    """Return the image on the model's voxels, in whole numbers, and their spacing; unchanged where it has them."""
    if steps.voxel_zyx_mm is None or np.array_equal(_zooms(spacing_zyx_mm), steps.voxel_zyx_mm):
        return image_zyx, spacing_zyx_mm
    zoom = [float(factor) for factor in (_zooms(spacing_zyx_mm) / np.array(steps.voxel_zyx_mm))[::-1]]
    small: NDArray[np.float64] = ndimage.zoom(
        image_zyx.T.astype(np.float64), zoom, mode="nearest", order=steps.order
    )
    whole = small.astype(np.int32)
    return np.ascontiguousarray(whole.T, np.float32), steps.voxel_zyx_mm


def from_model_voxels(labels_zyx: Labels, shape_zyx: tuple[int, ...]) -> Labels:
    """Return labels on the image's voxels, each from the nearest model voxel."""
    if labels_zyx.shape == shape_zyx:
        return labels_zyx
    zoom = [wanted / length for wanted, length in zip(shape_zyx[::-1], labels_zyx.shape[::-1], strict=True)]
    large: Labels = ndimage.zoom(labels_zyx.T, zoom, mode="nearest", order=0)
    return large.T


def in_thirds(
    image_zyx: NDArray[np.float32],
    steps: TotalSegmentatorSteps,
    find: Callable[[NDArray[np.float32]], Labels],
) -> Labels:
    """Find labels in three overlapping parts along z where the image is large, else in the whole."""
    slices, margin = len(image_zyx), steps.split_margin
    if image_zyx.size <= steps.split_above_voxels or slices <= _LEAST_SLICES:
        return find(image_zyx)
    third = slices // 3
    return np.concatenate(
        [
            find(image_zyx[: third + margin])[:-margin],
            find(image_zyx[third + 1 - margin : 2 * third + margin])[margin - 1 : -margin],
            find(image_zyx[2 * third + 1 - margin :])[margin - 1 :],
        ]
    )


def _zooms(spacing_zyx_mm: Spacing) -> NDArray[np.float64]:
    """Return spacings as a NIfTI header holds them: float32."""
    return np.array(spacing_zyx_mm, np.float32).astype(np.float64)
