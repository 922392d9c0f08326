"""From a whole CT to one mask per structure: body, model voxels, tiles, logits on the CT's grid, post-processing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inference.contract import ModelContract, WholeVolumeTiles
from inference.server.pipelines.placement import Answer, body_placement
from inference.server.pipelines.sliding_window import Predict, tiled_logits
from inference.server.pipelines.tile_predictor import TILES_AT_ONCE, tile_predictor
from inference.server.predictor import Spacing, StageDone, StructurePlanes


@dataclass(frozen=True, kw_only=True, eq=False)
class TilePipeline:
    """One 3-D network that is run on tiles of HU on the model's voxels."""

    contract: ModelContract
    how: WholeVolumeTiles
    answer_tiles: Predict

    @classmethod
    def from_contract(
        cls, contract: ModelContract, networks: Mapping[str, nn.Module], device: torch.device
    ) -> "TilePipeline":
        """Build it with the single network of a contract that names this pipeline."""
        how = contract.native.pipeline
        if not isinstance(how, WholeVolumeTiles):
            raise ValueError(f"{how.name} is not a pipeline of tiles")
        answer_tiles = tile_predictor(networks["network"], how, mirrored_order(contract), device)
        return cls(contract=contract, how=how, answer_tiles=answer_tiles)

    def predict(
        self,
        image_zyx: NDArray[np.int16] | NDArray[np.float32],
        spacing_zyx_mm: Spacing,
        stage_done: StageDone = lambda _: None,
    ) -> StructurePlanes:
        """Find the structures in a CT in canonical orientation; an empty CT gives empty masks.

        Memory beyond the answer stays below a few arrays of one structure's bounding box.
        """
        how = self.how
        answer = Answer.empty(self.contract, image_zyx.shape)
        coarse, place = body_placement(image_zyx, spacing_zyx_mm, how)
        stage_done("resample")
        if place is None:
            return answer.finished()
        logits = tiled_logits(
            coarse[place.box], self.answer_tiles, how.tile_zyx, how.overlap, batch=TILES_AT_ONCE
        )
        stage_done("network")
        for code, found in zip(self.contract.labels, logits, strict=True):
            answer.write(code, found, place)
        stage_done("masks")
        return answer.finished()

    def warm_up(self) -> None:
        """Run the network on tiles of water."""
        self.answer_tiles(torch.zeros((TILES_AT_ONCE, *self.how.tile_zyx)))


def mirrored_order(contract: ModelContract) -> tuple[int, ...]:
    """Return, for each structure, the index of the one that takes its place in a left-right mirror image."""
    labels = list(contract.labels)
    partner = {a: b for pair in contract.left_right_pairs for a, b in (pair, pair[::-1])}
    return tuple(labels.index(partner.get(label, label)) for label in labels)
