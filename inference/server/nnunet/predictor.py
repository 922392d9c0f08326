"""The served predictor of a model that nnU-Net trained: label maps of its parts as the contract's bit planes."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.contract import ModelContract
from inference.contract.nnunet import NnunetRuntime
from inference.server.nnunet.configuration import Configuration, Found
from inference.server.nnunet.label_maps import Labels
from inference.server.nnunet.resampling import box_of
from inference.server.nnunet.totalsegmentator import from_model_voxels, in_thirds, to_model_voxels
from inference.server.predictor import Spacing, StageDone, StructurePlanes

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True, eq=False)
class NnunetPredictor:
    """The configurations of a contract, one per part."""

    contract: ModelContract
    runtime: NnunetRuntime
    configurations: tuple[Configuration, ...]

    def predict(
        self,
        image_zyx: NDArray[np.int16] | NDArray[np.float32],
        spacing_zyx_mm: Spacing,
        stage_done: StageDone = lambda _: None,
    ) -> StructurePlanes:
        """Find the structures of every part in an image in canonical orientation."""
        planes = np.zeros((self.contract.planes, *image_zyx.shape), np.uint8)
        means = np.zeros(len(self.contract.structures), np.float32)
        image = self._turned(image_zyx.astype(np.float32, copy=False))
        taken: NDArray[np.bool_] | None = None
        model_image, spacing = self._on_model_voxels(image, exact(spacing_zyx_mm))
        # backwards: where TotalSegmentator's parts disagree, the later one gets the voxel
        for part, configuration in reversed(list(enumerate(self.configurations))):
            found = self._found(configuration, model_image, spacing)
            labels = found.labels
            if self.runtime.totalsegmentator is not None:
                labels = labels if taken is None else np.where(taken, np.uint16(0), labels)
                taken = labels != 0 if taken is None else taken | (labels != 0)
                labels = from_model_voxels(labels, image.shape)
            stage_done(f"part {part + 1} of {len(self.configurations)}")
            for index, structure in enumerate(self.runtime.structures):
                if structure.part == part and self._write(
                    planes[index // 8], index % 8, labels, structure.values
                ):
                    means[index] = max(found.mean_probability[value] for value in structure.values)
            stage_done("masks")
        return StructurePlanes(planes=planes, mean_probability=means)

    def _on_model_voxels(
        self, image: NDArray[np.float32], spacing: Spacing
    ) -> tuple[NDArray[np.float32], Spacing]:
        steps = self.runtime.totalsegmentator
        return (image, spacing) if steps is None else to_model_voxels(image, spacing, steps)

    def _found(self, configuration: Configuration, image: NDArray[np.float32], spacing: Spacing) -> Found:
        """Predict the whole image or its thirds; of thirds, a value's mean probability is the highest."""
        steps = self.runtime.totalsegmentator
        if steps is None or len(self.configurations) == 1:
            return configuration.find(image, spacing)
        chances: dict[int, float] = {}

        def find(part: NDArray[np.float32]) -> Labels:
            found = configuration.find(part, spacing)
            for value, chance in found.mean_probability.items():
                chances[value] = max(chances.get(value, 0.0), chance)
            return found.labels

        labels = in_thirds(image, steps, find)
        return Found(labels=labels, mean_probability=chances)

    def warm_up(self) -> None:
        """Run each part on one tile of zeros."""
        for configuration in self.configurations:
            configuration.network.warm_up()

    def _turned(self, volume: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Turn a volume to the axes that the model was trained on, or back: turning twice changes nothing."""
        return np.ascontiguousarray(volume[:, ::-1, ::-1]) if self.runtime.axes == "RAS" else volume

    def _write(self, plane: NDArray[np.uint8], bit: int, labels: Labels, values: tuple[int, ...]) -> bool:
        """Set a structure's bit where the labels have its values; return whether any do."""
        mask = self._turned(np.isin(labels, values))
        box = box_of(mask)
        if box is None:
            return False
        plane[box] |= mask[box].astype(np.uint8) << np.uint8(bit)
        return True


def exact(spacing_mm: Spacing) -> Spacing:
    """Return spacings that were sent as float32 as the decimal numbers that they were written as."""
    z, y, x = (float(str(np.float32(step))) for step in spacing_mm)
    return z, y, x
