"""The served predictor: an image in, bit planes out; training validates with the same one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Spacing = tuple[float, float, float]
StageDone = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class StructurePlanes:
    """Bit planes uint8 (plane, z, y, x) on the image's grid; mean probability float32 inside each mask, 0 if empty."""

    planes: NDArray[np.uint8]
    mean_probability: NDArray[np.float32]


class ServedPredictor(Protocol):
    """A loaded model: every pipeline and every runtime provides this."""

    def predict(
        self,
        image_zyx: NDArray[np.int16] | NDArray[np.float32],
        spacing_zyx_mm: Spacing,
        stage_done: StageDone = ...,
    ) -> StructurePlanes:
        """Find the contract's structures in an image in canonical orientation.

        Index z runs to superior, y to posterior, x to left. Structure i is bit i % 8 of plane i // 8; an image
        without any gives empty planes. ``stage_done`` is called with the name of each stage when it ends.
        """

    def warm_up(self) -> None:
        """Run once on dummy input: the first run is slow and should not be a patient's."""
