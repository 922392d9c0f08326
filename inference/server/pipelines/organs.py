"""A whole CT to one mask an organ: body, model voxels, tiles, logits back on the CT's grid, clean-up."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inference.postprocess import finished, kept_pieces
from inference.server.body import Box, body_box
from inference.server.pipelines.sliding_window import Predict, batched_tiled_logits
from inference.server.resampling import Axes, Axis, interpolated_slabs, to_model_voxels
from inference.spec import ModelSpec, PipelineSpec, StructureSpec, VoxelSpec

Spacing = tuple[float, float, float]
StageDone = Callable[[str], None]

TILES_AT_ONCE = 2  # for one tile alone torch takes a convolution half as fast


@dataclass(frozen=True, kw_only=True, eq=False)
class Organs:
    """Bit planes uint8 (plane, z, y, x) on the CT's grid; mean probability float32 inside each mask, 0 if empty."""

    planes: NDArray[np.uint8]
    mean_probability: NDArray[np.float32]


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


def contour_organs(
    hu_zyx: NDArray[np.int16],
    spacing_zyx_mm: Spacing,
    predict: Predict,
    spec: ModelSpec,
    stage_done: StageDone = lambda _: None,
) -> Organs:
    """Find the spec's structures in a CT in canonical orientation; an empty CT gives empty masks.

    ``predict`` maps tiles of HU (tile, z, y, x) on the model's voxels to logits (tile, structure, z, y, x). Memory
    beyond the answer stays below a few arrays of one structure's bounding box.
    """
    planes = np.zeros((spec.planes, *hu_zyx.shape), np.uint8)
    means = np.zeros(len(spec.structures), np.float32)
    axes = model_axes(hu_zyx.shape, spacing_zyx_mm, spec.pipeline.voxels)
    coarse = to_model_voxels(torch.from_numpy(hu_zyx), axes)
    box = _body(coarse, spacing_zyx_mm, axes, spec.pipeline)
    stage_done("resample")
    if box is None:
        return Organs(planes=planes, mean_probability=means)
    logits = batched_tiled_logits(
        coarse[box], predict, spec.pipeline.tile_zyx, spec.pipeline.overlap, batch=TILES_AT_ONCE
    )
    stage_done("network")
    region = _Region(logits=logits, box=box, axes=axes, ct_voxel_mm3=math.prod(spacing_zyx_mm))
    for index, structure in enumerate(spec.structures):
        means[index] = _write_structure(region, index, structure, planes[index // 8])
    stage_done("masks")
    return Organs(planes=planes, mean_probability=means)


def mirrored_mean(logits: torch.Tensor, mirror: torch.Tensor, order: tuple[int, ...]) -> torch.Tensor:
    """Logits (tile, structure, z, y, x) of tiles and of their left-right mirrors -> their mean, as the tiles lie.

    Structure i of a tile is structure order[i] of its mirror.
    """
    return (logits + mirror[:, list(order)].flip(-1)) / 2


def mirrored_order(spec: ModelSpec) -> tuple[int, ...]:
    """For each structure the index of the one that takes its place in a left-right mirror."""
    labels = list(spec.labels)
    partner = {a: b for pair in spec.pipeline.mirrored_pairs for a, b in (pair, pair[::-1])}
    return tuple(labels.index(partner.get(label, label)) for label in labels)


def model_axes(shape_zyx: tuple[int, ...], spacing_zyx_mm: Spacing, voxels: VoxelSpec) -> Axes:
    """How a CT's axes become the model's; each axis is decided by its own spacing."""
    slices = (voxels.accepted_slice_mm, voxels.slice_mm)
    in_plane = (voxels.accepted_in_plane_mm, voxels.in_plane_mm)
    z, y, x = (
        Axis.fitted(length, spacing, accepted_mm=accepted, target_mm=target)
        for length, spacing, (accepted, target) in zip(
            shape_zyx, spacing_zyx_mm, (slices, in_plane, in_plane), strict=True
        )
    )
    return z, y, x


def _body(coarse: torch.Tensor, spacing_zyx_mm: Spacing, axes: Axes, how: PipelineSpec) -> Box | None:
    steps_mm = [spacing * axis.ratio for spacing, axis in zip(spacing_zyx_mm, axes, strict=True)]
    z, y, x = (math.ceil(how.body_margin_mm / step) for step in steps_mm)
    return body_box(coarse, threshold_hu=how.body_threshold_hu, margin_voxels_zyx=(z, y, x))


def _write_structure(
    region: _Region, index: int, structure: StructureSpec, plane: NDArray[np.uint8]
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
