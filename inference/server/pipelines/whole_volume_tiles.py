"""A whole CT to one mask a structure: body, model voxels, tiles, logits back on the CT's grid, post-processing."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inference.contract import ModelContract, ModelStructure, VoxelRange, WholeVolumeTiles
from inference.postprocess import finished, kept_pieces
from inference.server.body import Box, body_box
from inference.server.pipelines.sliding_window import Predict, tiled_logits
from inference.server.pipelines.tile_predictor import TILES_AT_ONCE, tile_predictor
from inference.server.predictor import Spacing, StageDone, StructurePlanes
from inference.server.resampling import Axes, Axis, interpolated_slabs, to_model_voxels


@dataclass(frozen=True, kw_only=True, eq=False)
class TilePipeline:
    """One 3-D network that answers for tiles of HU on the model's voxels."""

    contract: ModelContract
    how: WholeVolumeTiles
    answer_tiles: Predict

    @classmethod
    def from_contract(
        cls, contract: ModelContract, networks: Mapping[str, nn.Module], device: torch.device
    ) -> "TilePipeline":
        """Build it round the one network of a contract with this pipeline."""
        how = contract.native.pipeline
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
        contract, how = self.contract, self.how
        planes = np.zeros((contract.planes, *image_zyx.shape), np.uint8)
        means = np.zeros(len(contract.structures), np.float32)
        axes = model_axes(image_zyx.shape, spacing_zyx_mm, how.voxels)
        coarse = to_model_voxels(torch.from_numpy(image_zyx), axes)
        box = _body(coarse, spacing_zyx_mm, axes, how)
        stage_done("resample")
        if box is None:
            return StructurePlanes(planes=planes, mean_probability=means)
        logits = tiled_logits(coarse[box], self.answer_tiles, how.tile_zyx, how.overlap, batch=TILES_AT_ONCE)
        stage_done("network")
        region = _Region(logits=logits, box=box, axes=axes, ct_voxel_mm3=math.prod(spacing_zyx_mm))
        for index, structure in enumerate(contract.structures):
            means[index] = _write_structure(region, index, structure, planes[index // 8])
        stage_done("masks")
        return StructurePlanes(planes=planes, mean_probability=means)

    def warm_up(self) -> None:
        """Answer for tiles of water."""
        self.answer_tiles(torch.zeros((TILES_AT_ONCE, *self.how.tile_zyx)))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Region:
    """Logits (structure, z, y, x) on the model's voxels inside the body's box, and how the CT lies over them."""

    logits: torch.Tensor
    box: Box
    axes: Axes
    ct_voxel_mm3: float

    @property
    def voxel_mm3(self) -> float:
        return self.ct_voxel_mm3 * math.prod(axis.ratio for axis in self.axes)


def mirrored_order(contract: ModelContract) -> tuple[int, ...]:
    """For each structure the index of the one that takes its place in a left-right mirror."""
    labels = list(contract.labels)
    partner = {a: b for pair in contract.left_right_pairs for a, b in (pair, pair[::-1])}
    return tuple(labels.index(partner.get(label, label)) for label in labels)


def model_axes(shape_zyx: tuple[int, ...], spacing_zyx_mm: Spacing, voxels: VoxelRange) -> Axes:
    """Lay the model's axes over a CT's; each axis is decided by its own spacing."""
    slices = (voxels.accepted_slice_mm, voxels.slice_mm)
    in_plane = (voxels.accepted_in_plane_mm, voxels.in_plane_mm)
    z, y, x = (
        Axis.fitted(length, spacing, accepted_mm=accepted, target_mm=target)
        for length, spacing, (accepted, target) in zip(
            shape_zyx, spacing_zyx_mm, (slices, in_plane, in_plane), strict=True
        )
    )
    return z, y, x


def _body(coarse: torch.Tensor, spacing_zyx_mm: Spacing, axes: Axes, how: WholeVolumeTiles) -> Box | None:
    steps_mm = [spacing * axis.ratio for spacing, axis in zip(spacing_zyx_mm, axes, strict=True)]
    z, y, x = (math.ceil(how.body_margin_mm / step) for step in steps_mm)
    return body_box(coarse, threshold_hu=how.body_threshold_hu, margin_voxels_zyx=(z, y, x))


def _write_structure(
    region: _Region, index: int, structure: ModelStructure, plane: NDArray[np.uint8]
) -> float:
    """Set the structure's bit in the plane (z, y, x) and return its mean probability."""
    cut = math.log(structure.threshold / (1 - structure.threshold))
    above = region.logits[index] - cut
    kept = kept_pieces((above > 0).numpy(), structure, region.voxel_mm3)
    if not kept.any():
        return 0.0
    wanted = torch.from_numpy(kept)
    above = torch.where(
        wanted, above, -above.abs()
    )  # pieces that are dropped may not come back by interpolation
    found = [np.flatnonzero(kept.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    spans = [
        axis.reached(box.start + int(at[0]), box.start + int(at[-1]) + 1)
        for axis, box, at in zip(region.axes, region.box, found, strict=True)
    ]
    weights = [
        axis.from_model(*span, model_first=box.start, model_stop=box.stop)
        for axis, box, span in zip(region.axes, region.box, spans, strict=True)
    ]
    values = np.empty([stop - first for first, stop in spans], np.float32)
    for slab, interpolated in interpolated_slabs(above, (weights[0], weights[1], weights[2])):
        values[slab] = interpolated.numpy()
    mask = finished(values > 0, structure, region.ct_voxel_mm3)
    z, y, x = (slice(first, stop) for first, stop in spans)
    plane[z, y, x] |= mask.astype(np.uint8) << np.uint8(index % 8)
    inside = values[mask].astype(np.float64) + cut
    return float(np.mean(1 / (1 + np.exp(-inside)))) if inside.size else 0.0
