"""One trained configuration as nnU-Net runs it: crop, normalise, resample, tiles, logits back, labels."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from inference.contract.nnunet import NnunetPart, Normalisation
from inference.server.nnunet.label_maps import Labels, label_map, mean_probabilities
from inference.server.nnunet.resampling import (
    LogitResampler,
    box_of,
    coarse_axis,
    new_shape,
    resampled_image,
)
from inference.server.nnunet.tiles import TiledNetwork
from inference.server.predictor import Spacing

_LEAST_SPREAD = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """A label map on the image's voxels, and the mean probability of each value."""

    labels: Labels
    mean_probability: dict[int, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Configuration:
    """A part of the contract and its networks."""

    part: NnunetPart
    network: TiledNetwork

    def find(self, image_zyx: NDArray[np.float32], spacing_zyx_mm: Spacing) -> Found:
        """Map an image, as the model's reader gives it (z, y, x), to its label map; an image of zeros has no labels."""
        part = self.part
        turned = image_zyx.transpose(part.transpose)
        spacing = [spacing_zyx_mm[axis] for axis in part.transpose]
        nonzero = ndimage.binary_fill_holes(turned != 0)
        box = box_of(nonzero)
        labels = np.zeros(turned.shape, np.uint16)
        if box is None:
            return Found(labels=labels.transpose(np.argsort(part.transpose)), mean_probability={})
        target = spacing[: 3 - len(part.spacing_mm)] + list(part.spacing_mm)
        image = normalised(turned[box], nonzero[box], part.normalisation)
        shape = image.shape
        apart = coarse_axis(part.image, spacing, target)
        image = resampled_image(image, new_shape(shape, spacing, target), part.image, apart)
        logits = self.network.logits(torch.from_numpy(image)).numpy()
        back = LogitResampler(logits.shape[1:], shape, part.logits, coarse_axis(part.logits, target, spacing))
        labels[box] = label_map(logits, part, shape, back)
        return Found(
            labels=labels.transpose(np.argsort(part.transpose)),
            mean_probability=mean_probabilities(logits, part),
        )


def normalised(
    image: NDArray[np.float32], nonzero: NDArray[np.bool_], how: Normalisation
) -> NDArray[np.float32]:
    """Return a normalised copy; float32 throughout, as in nnU-Net."""
    image = np.array(image, np.float32, order="C")
    if how.scheme == "CTNormalization":
        np.clip(image, how.low, how.high, out=image)
        image -= how.mean
        image /= max(how.sd, _LEAST_SPREAD)
    elif how.scheme == "ZScoreNormalization":
        inside = nonzero if how.nonzero_only else np.ones_like(nonzero)
        values = image[inside] if how.nonzero_only else image
        image[inside] = ((values - values.mean()) / max(values.std(), _LEAST_SPREAD)).ravel()
    elif how.scheme == "RescaleTo01Normalization":
        image -= image.min()
        image /= np.clip(image.max(), _LEAST_SPREAD, None)
    return image
