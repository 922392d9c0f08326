"""A CT slice by slice through a 2-D network, each slice alone or with its neighbours as further channels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inference.contract import BodyCrop, ModelContract, SliceStacks
from inference.server.body import body_box
from inference.server.class_logits import structure_logits
from inference.server.grey_levels import grey_levels, normalised
from inference.server.pipelines.placement import Answer, Placement
from inference.server.pipelines.sliding_window import AIR_HU
from inference.server.predictor import Spacing, StageDone, StructurePlanes
from inference.server.resampling import Axes, Axis, to_model_voxels
from inference.server.volumes_of_interest import VolumeOfInterest, volume_of_interest

SLICES_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class SlicePipeline:
    """One 2-D network that is run on frames of slices on the model's pixels."""

    contract: ModelContract
    how: SliceStacks
    network: nn.Module
    device: torch.device

    @classmethod
    def from_contract(
        cls, contract: ModelContract, networks: Mapping[str, nn.Module], device: torch.device
    ) -> "SlicePipeline":
        """Build it with the single network of a contract that names this pipeline."""
        how = contract.native.pipeline
        if not isinstance(how, SliceStacks):
            raise ValueError(f"{how.name} is not a pipeline of slices")
        return cls(contract=contract, how=how, network=networks["network"], device=device)

    def predict(
        self,
        image_zyx: NDArray[np.int16] | NDArray[np.float32],
        spacing_zyx_mm: Spacing,
        stage_done: StageDone = lambda _: None,
    ) -> StructurePlanes:
        """Find the structures in a CT in canonical orientation; an empty CT gives empty masks.

        Memory: the frames' logits in half precision, and one structure's in single precision.
        """
        answer = Answer.empty(self.contract, image_zyx.shape)
        axes = slice_axes(image_zyx.shape, spacing_zyx_mm, self.how)
        coarse = to_model_voxels(torch.from_numpy(image_zyx), axes)
        frame = placed_frame(coarse, self.how)
        stage_done("resample")
        if frame is None:
            return answer.finished()
        logits = self._logits(frame.cut(coarse, outside=AIR_HU))
        stage_done("network")
        place = Placement(box=frame.volume, axes=axes, ct_voxel_mm3=math.prod(spacing_zyx_mm))
        for code, found in zip(self.contract.labels, logits, strict=True):
            answer.write(code, found[frame.inside], place)
        stage_done("masks")
        return answer.finished()

    def warm_up(self) -> None:
        """Run the network on frames of water."""
        self._logits(torch.zeros((SLICES_AT_ONCE, *self.how.frame.size_yx)))

    @torch.no_grad()
    def _logits(self, hu: torch.Tensor) -> torch.Tensor:
        """Map HU of frames (z, y, x) to logits (structure, z, y, x), float16."""
        stacks = stacked(grey_levels(hu, self.how.window_hu), self.how.slices)
        logits = torch.empty((len(self.contract.structures), *hu.shape), dtype=torch.float16)
        for begin in range(0, len(stacks), SLICES_AT_ONCE):
            together = slice(begin, begin + SLICES_AT_ONCE)
            inputs = normalised(stacks[together], self.how.mean, self.how.sd)
            found = self.network(inputs.to(self.device))
            found = structure_logits(found) if self.how.exclusive else found
            logits[:, together] = found.to("cpu", torch.float16).transpose(0, 1)
        return logits


def slice_axes(shape_zyx: tuple[int, ...], spacing_zyx_mm: Spacing, how: SliceStacks) -> Axes:
    """Lay the model's axes over a CT's."""
    z = Axis.fitted(
        shape_zyx[0], spacing_zyx_mm[0], accepted_mm=how.accepted_slice_mm, target_mm=how.slice_mm
    )
    frame = how.frame
    if isinstance(frame, BodyCrop):
        y, x = (
            Axis.fitted(
                shape_zyx[i],
                spacing_zyx_mm[i],
                accepted_mm=frame.accepted_in_plane_mm,
                target_mm=frame.in_plane_mm,
            )
            for i in (1, 2)
        )
    else:
        y, x = (Axis(length=shape_zyx[i], ratio=shape_zyx[i] / frame.size_yx[i - 1]) for i in (1, 2))
    return z, y, x


def placed_frame(coarse: torch.Tensor, how: SliceStacks) -> VolumeOfInterest | None:
    """Return all slices and the frame in plane: whole, or round the body's middle (None: no body); HU (z, y, x)."""
    slices, rows, columns = coarse.shape
    frame = how.frame
    if not isinstance(frame, BodyCrop):
        return volume_of_interest(
            (slices // 2, rows // 2, columns // 2), (slices, rows, columns), (slices, rows, columns)
        )
    body = body_box(coarse, threshold_hu=frame.body_threshold_hu, margin_voxels_zyx=(0, 0, 0))
    if body is None:
        return None
    middle = [(side.start + side.stop) // 2 for side in body]
    return volume_of_interest(
        (middle[0], middle[1], middle[2]), (slices, *frame.size_yx), (slices, rows, columns)
    )


def stacked(slices_zyx: torch.Tensor, count: int) -> torch.Tensor:
    """Join each of slices (z, y, x) with its neighbours: (z, count, y, x); beyond the ends, end slices are repeated."""
    reach = count // 2
    last = len(slices_zyx) - 1
    places = torch.arange(len(slices_zyx))[:, None] + torch.arange(-reach, reach + 1)[None]
    return slices_zyx[places.clamp(0, last)]
