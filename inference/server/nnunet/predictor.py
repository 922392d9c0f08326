"""The served predictor of a model that nnU-Net trained: label maps of its parts as the contract's bit planes."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.contract import ModelContract
from inference.contract.nnunet import NnunetRuntime
from inference.server.nnunet.configuration import Configuration, Found
from inference.server.nnunet.resampling import box_of
from inference.server.predictor import Spacing, StageDone, StructurePlanes

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True, eq=False)
class NnunetPredictor:
    """The configurations of a contract, one a part."""

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
        spacing = exact(spacing_zyx_mm)
        for number, configuration in enumerate(self.configurations, start=1):
            found = configuration.find(image, spacing)
            stage_done(f"part {number} of {len(self.configurations)}")
            for index, structure in enumerate(self.runtime.structures):
                if structure.part == number - 1:
                    means[index] = self._write(planes[index // 8], index % 8, found, structure.values)
            stage_done("masks")
        return StructurePlanes(planes=planes, mean_probability=means)

    def warm_up(self) -> None:
        """Answer for one tile of zeros a part."""
        for configuration in self.configurations:
            configuration.network.warm_up()

    def _turned(self, volume: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return a volume along the axes that the model was trained on, or back: twice is the same."""
        return np.ascontiguousarray(volume[:, ::-1, ::-1]) if self.runtime.axes == "RAS" else volume

    def _write(self, plane: NDArray[np.uint8], bit: int, found: Found, values: tuple[int, ...]) -> float:
        mask = self._turned(np.isin(found.labels, values))
        box = box_of(mask)
        if box is None:
            return 0.0
        plane[box] |= mask[box].astype(np.uint8) << np.uint8(bit)
        chances = [found.mean_probability[value] for value in values]
        return max(chances)


def exact(spacing_mm: Spacing) -> Spacing:
    """Spacings that crossed as float32, as the decimal numbers that they were written as."""
    z, y, x = (float(str(np.float32(step))) for step in spacing_mm)
    return z, y, x
