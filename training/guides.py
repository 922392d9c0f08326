"""Guides, the anchors' probabilities that later strata get with the CT: predicted once per case, kept in files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imaging.atomic_files import atomic_file
from inference.server.pipelines.placement import body_placement
from inference.server.pipelines.stratified import StratifiedPipeline, windowed
from training.augment import cut_block
from training.cases import Case
from training.recipe import RecipeRefused

_FULL = 255  # probability 1


@dataclass(frozen=True, kw_only=True)
class Guides:
    """Anchor maps of cases in a folder, made on first request; uint8, 255 means probability 1.

    ``pipeline_for`` gives the frozen anchor network for a case's name: of several, the one not trained on it.
    """

    folder: Path
    pipeline_for: Callable[[str], StratifiedPipeline]
    mirror_order: tuple[int, ...]

    def of(self, case: Case) -> "GuideMaps":
        """Return the maps of one case. Raises RecipeRefused where its voxels differ from the network's."""
        file = self.folder / f"{case.name}.npy"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_file(file) as part, part.open("wb") as stream:
                np.save(stream, anchor_maps(self.pipeline_for(case.name), case))
        return GuideMaps(planes=np.load(file, mmap_mode="r"), mirror_order=self.mirror_order)


@dataclass(frozen=True, kw_only=True, eq=False)
class GuideMaps:
    """The anchor maps of one case, uint8 (anchor, z, y, x), to be cut with a patch."""

    planes: NDArray[np.uint8]
    mirror_order: tuple[int, ...]

    def cut(self, start: NDArray[np.int_], size: tuple[int, ...]) -> torch.Tensor:
        """Return a block (anchor, z, y, x) of probabilities; 0 beyond the case."""
        blocks = [torch.from_numpy(cut_block(plane, start, size, 0)) for plane in self.planes]
        return torch.stack(blocks).to(torch.float32) / _FULL


def anchor_maps(pipeline: StratifiedPipeline, case: Case) -> NDArray[np.uint8]:
    """Predict the anchors' probabilities (anchor, z, y, x) as serving does, on the case's own grid."""
    image = np.array(case.hu_zyx)
    coarse, place = body_placement(image, case.spacing_zyx_mm, pipeline.how)
    if coarse.shape != image.shape:
        raise RecipeRefused(
            f"{case.name}: voxels of {case.spacing_zyx_mm} mm, which serving would resample: prepare it with --voxels-mm"
        )
    maps = np.zeros((len(pipeline.how.anchors), *image.shape), np.uint8)
    if place is not None:
        probabilities = pipeline.anchor_probabilities(windowed(coarse[place.box], pipeline.how))
        maps[(slice(None), *place.box)] = (probabilities * _FULL).round().to(torch.uint8).numpy()
    return maps
