"""Where logits lie in a CT, and how they become masks: interpolated, post-processed, one bit per structure."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import Self

from inference.contract import ModelContract, ModelStructure, Stratified, VoxelRange, WholeVolumeTiles
from inference.postprocess import finished, kept_pieces
from inference.server.body import Box, body_box
from inference.server.predictor import Spacing, StructurePlanes
from inference.server.resampling import Axes, Axis, interpolated_slabs, to_model_voxels


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A box of the model's voxels, and the relation of the CT's axes to them."""

    box: Box
    axes: Axes
    ct_voxel_mm3: float

    @property
    def voxel_mm3(self) -> float:
        """The volume of one of the model's voxels."""
        return self.ct_voxel_mm3 * math.prod(axis.ratio for axis in self.axes)

    def within(self, inner: Box) -> "Placement":
        """Return a box inside this one, by its indices there."""
        z, y, x = (
            slice(outer.start + part.start, outer.start + part.stop)
            for outer, part in zip(self.box, inner, strict=True)
        )
        return Placement(box=(z, y, x), axes=self.axes, ct_voxel_mm3=self.ct_voxel_mm3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """A contract's structures as they are found; any that are not written stay empty."""

    contract: ModelContract
    planes: NDArray[np.uint8]
    means: NDArray[np.float32]

    @classmethod
    def empty(cls, contract: ModelContract, shape_zyx: tuple[int, ...]) -> Self:
        """Return an answer on a CT's grid in which nothing is found."""
        return cls(
            contract=contract,
            planes=np.zeros((contract.planes, *shape_zyx), np.uint8),
            means=np.zeros(len(contract.structures), np.float32),
        )

    def write(self, code: str, logits: torch.Tensor, place: Placement) -> None:
        """Write a structure from its logits (z, y, x) on the placement's voxels, once per structure."""
        index = self.contract.labels.index(code)
        structure, plane = self.contract.structures[index], self.planes[index // 8]
        self.means[index] = _write_structure(logits, place, structure, plane, index % 8)

    def finished(self) -> StructurePlanes:
        """Return the predictor's answer."""
        return StructurePlanes(planes=self.planes, mean_probability=self.means)


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


def body_placement(
    image_zyx: NDArray[np.int16] | NDArray[np.float32],
    spacing_zyx_mm: Spacing,
    how: WholeVolumeTiles | Stratified,
) -> tuple[torch.Tensor, Placement | None]:
    """Return the image on the model's voxels, and the body's box there with a margin; None where all is air."""
    axes = model_axes(image_zyx.shape, spacing_zyx_mm, how.voxels)
    coarse = to_model_voxels(torch.from_numpy(image_zyx), axes)
    steps_mm = [spacing * axis.ratio for spacing, axis in zip(spacing_zyx_mm, axes, strict=True)]
    z, y, x = (math.ceil(how.body_margin_mm / step) for step in steps_mm)
    box = body_box(coarse, threshold_hu=how.body_threshold_hu, margin_voxels_zyx=(z, y, x))
    if box is None:
        return coarse, None
    return coarse, Placement(box=box, axes=axes, ct_voxel_mm3=math.prod(spacing_zyx_mm))


def _write_structure(
    logits: torch.Tensor, place: Placement, structure: ModelStructure, plane: NDArray[np.uint8], bit: int
) -> float:
    """Set the structure's bit in the plane (z, y, x) and return its mean probability."""
    cut = math.log(structure.threshold / (1 - structure.threshold))
    above = logits.to(torch.float32) - cut
    kept = kept_pieces((above > 0).numpy(), structure, place.voxel_mm3)
    if not kept.any():
        return 0.0
    wanted = torch.from_numpy(kept)
    above = torch.where(
        wanted, above, -above.abs()
    )  # pieces that are dropped must not return by interpolation
    found = [np.flatnonzero(kept.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    spans = [
        axis.reached(box.start + int(at[0]), box.start + int(at[-1]) + 1)
        for axis, box, at in zip(place.axes, place.box, found, strict=True)
    ]
    weights = [
        axis.from_model(*span, model_first=box.start, model_stop=box.stop)
        for axis, box, span in zip(place.axes, place.box, spans, strict=True)
    ]
    values = np.empty([stop - first for first, stop in spans], np.float32)
    for slab, interpolated in interpolated_slabs(above, (weights[0], weights[1], weights[2])):
        values[slab] = interpolated.numpy()
    mask = finished(values > 0, structure, place.ct_voxel_mm3)
    z, y, x = (slice(first, stop) for first, stop in spans)
    plane[z, y, x] |= mask.astype(np.uint8) << np.uint8(bit)
    inside = values[mask].astype(np.float64) + cut
    return float(np.mean(1 / (1 + np.exp(-inside)))) if inside.size else 0.0
