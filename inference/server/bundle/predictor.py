"""The bundle runtime's predictor: the steps, the windows, the inverses, and a label map read as structures."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from inference.contract import ModelContract
from inference.contract.bundle import BundleRuntime, CropForeground, Orientation, Spacing
from inference.server.bundle.arrays import CANONICAL, Back, Placed, cropped, resampled, turned
from inference.server.bundle.intensity import scaled
from inference.server.bundle.windows import Answer, windowed
from inference.server.predictor import Spacing as VoxelSizes
from inference.server.predictor import StageDone, StructurePlanes


@dataclass(frozen=True, kw_only=True, eq=False)
class BundlePredictor:
    """One network with the steps of its contract."""

    contract: ModelContract
    runtime: BundleRuntime
    answer: Answer

    def predict(
        self,
        image_zyx: NDArray[np.int16] | NDArray[np.float32],
        spacing_zyx_mm: VoxelSizes,
        stage_done: StageDone = lambda _: None,
    ) -> StructurePlanes:
        """Find the structures in an image in canonical orientation."""
        runtime = self.runtime
        values = torch.from_numpy(np.ascontiguousarray(image_zyx.transpose(2, 1, 0)).astype(np.float32))[None]
        z, y, x = spacing_zyx_mm
        placed, way_back = prepared(Placed(values=values, axes=CANONICAL, spacing_mm=(x, y, z)), runtime)
        stage_done("prepare")
        logits = self._looked_at(placed.values)
        stage_done("network")
        labels, certainty = decided(logits, runtime, way_back)
        stage_done("masks")
        return self._planes(labels, certainty, image_zyx.shape)

    def warm_up(self) -> None:
        """Run the network on one window of zeros."""
        window = self.runtime.window
        size = [n if n > 0 else 64 for n in window.roi] if window else [64, 64, 64]
        self.answer(torch.zeros((1, 1, *size)))

    def _looked_at(self, values: torch.Tensor) -> torch.Tensor:
        logits = (
            self.answer(values[None])[0]
            if self.runtime.window is None
            else windowed(values, self.answer, self.runtime.window)
        )
        if logits.shape[0] != self.runtime.network.channels or logits.shape[1:] != values.shape[1:]:
            raise ValueError(
                f"the network answered {tuple(logits.shape)} for an image of {tuple(values.shape[1:])} and "
                f"{self.runtime.network.channels} channels"
            )
        return logits

    def _planes(
        self, labels: torch.Tensor, certainty: torch.Tensor, shape: tuple[int, ...]
    ) -> StructurePlanes:
        """Read structures from a label map (1, x, y, z), or from overlapping channels (channel, x, y, z)."""
        planes = np.zeros((self.contract.planes, *shape), np.uint8)
        means = np.zeros(len(self.contract.labels), np.float32)
        for index, structure in enumerate(self.runtime.structures):
            if self.runtime.discrete == "argmax":
                mask = torch.isin(labels[0], torch.tensor(structure.values))
                sure = certainty[0]
            else:
                mask = labels[list(structure.values)].any(dim=0)
                sure = certainty[list(structure.values)].amax(dim=0)
            if mask.any():
                means[index] = float(sure[mask].mean())
                planes[index // 8] |= mask.numpy().transpose(2, 1, 0).astype(np.uint8) << index % 8
        return StructurePlanes(planes=planes, mean_probability=means)


def prepared(image: Placed, runtime: BundleRuntime) -> tuple[Placed, list[Back]]:
    """Apply the steps before the network in order; return their inverses too."""
    way_back: list[Back] = []
    for step in runtime.before:
        if isinstance(step, Orientation):
            image, back = turned(image, step)
        elif isinstance(step, Spacing):
            image, back = resampled(image, step)
        elif isinstance(step, CropForeground):
            image, back = cropped(image, step)
        else:
            values = scaled(image.values, step)
            image = Placed(values=values, axes=image.axes, spacing_mm=image.spacing_mm)
            continue
        way_back.append(back)
    return image, way_back


def decided(
    logits: torch.Tensor, runtime: BundleRuntime, way_back: list[Back]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return labels (1 or channel, x, y, z) and their certainty, 0 to 1, on the image's own voxels.

    Channels are brought back one at a time, so that memory holds only one of them at full size besides the answer.
    """
    active = _active(logits, runtime)

    def returned(values: torch.Tensor, *, nearest: bool) -> torch.Tensor:
        for back in reversed(way_back):
            values = back(values, nearest=nearest)
        return values

    if runtime.inverse == "nearest":
        labels, certainty = _discrete(iter(active[:, None]), runtime)
        labels = labels if runtime.largest_last else _largest(labels, runtime)
        labels = returned(labels, nearest=True)
        labels = _largest(labels, runtime) if runtime.largest_last else labels
        return labels, returned(certainty, nearest=True)
    channels = (returned(channel[None], nearest=False) for channel in active)
    labels, certainty = _discrete((channel for channel in channels), runtime)
    return _largest(labels, runtime), certainty


def _active(logits: torch.Tensor, runtime: BundleRuntime) -> torch.Tensor:
    if runtime.activation == "softmax":
        return torch.softmax(logits, dim=0)
    return torch.sigmoid(logits) if runtime.activation == "sigmoid" else logits


def _discrete(channels: Iterator[torch.Tensor], runtime: BundleRuntime) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn channels (1, x, y, z), taken one at a time, into labels and certainty, 0 to 1."""
    if runtime.discrete == "threshold":
        whole = torch.cat(list(channels))
        certainty = whole if runtime.activation != "none" else torch.sigmoid(whole)
        return (whole >= runtime.threshold), certainty.clamp(0.0, 1.0)
    best = next(channels)
    labels, total = torch.zeros(best.shape, dtype=torch.int16), best
    exclusive = runtime.activation == "none"
    for number, channel in enumerate(channels, start=1):
        total = torch.logaddexp(total, channel) if exclusive else total + channel
        better = channel > best
        labels[better] = number
        best = torch.where(better, channel, best)
    certainty = torch.exp(best - total) if exclusive else best / total.clamp(min=1e-6)
    return labels, certainty.clamp(0.0, 1.0)


def _largest(labels: torch.Tensor, runtime: BundleRuntime) -> torch.Tensor:
    """Keep the largest piece of each of the named values or channels, connected by faces, edges and corners."""
    if not runtime.largest_of:
        return labels
    result = labels.clone()
    for value in runtime.largest_of:
        exclusive = runtime.discrete == "argmax"
        mask = (labels[0] == value) if exclusive else labels[value]
        pieces, count = ndimage.label(mask.numpy(), np.ones((3, 3, 3)))
        if count < 2:
            continue
        kept = torch.from_numpy(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)
        if exclusive:
            result[0][mask & ~kept] = 0
        else:
            result[value] &= kept
    return result
