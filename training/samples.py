"""From a patch of a case to a network's input and target, as the pipeline that will serve the network sees them."""

import torch
from torch.nn import functional

from inference.contract import BodyCrop, SliceStacks, Stratified, VoxelRange, WholeVolumeTiles
from inference.server.grey_levels import grey_levels, normalised
from inference.server.intensity import window_channels
from inference.server.pipelines.stratified import windowed
from training.augment import Patch
from training.loop import Batch

Pipeline = WholeVolumeTiles | SliceStacks | Stratified
Size = tuple[int, int, int]


def patch_size(how: Pipeline) -> Size:
    """The voxels (z, y, x) that a pipeline's network sees at once: a tile, or a stack of frames."""
    if isinstance(how, SliceStacks):
        return how.slices, *how.frame.size_yx
    return how.tile_zyx


def expected_voxels(how: Pipeline) -> VoxelRange | None:
    """The voxels that a pipeline takes as they are; None where it takes slices of any pixels."""
    if not isinstance(how, SliceStacks):
        return how.voxels
    if not isinstance(how.frame, BodyCrop):
        return None
    return VoxelRange(
        accepted_in_plane_mm=how.frame.accepted_in_plane_mm,
        in_plane_mm=how.frame.in_plane_mm,
        accepted_slice_mm=how.accepted_slice_mm,
        slice_mm=how.slice_mm,
    )


def network_sample(how: Pipeline, patch: Patch, resized_yx: tuple[int, int] | None = None) -> Batch:
    """One sample: the input that serving makes of such voxels; of a stack the labels of the middle slice.

    ``resized_yx``: a crop of slices at another size, where the pipeline resizes whole slices.
    """
    drawn = patch.drawn[None]
    if isinstance(how, WholeVolumeTiles):
        return Batch(
            inputs=window_channels(patch.hu, how.windows_hu)[None], labels=patch.labels[None], drawn=drawn
        )
    if isinstance(how, Stratified):
        ct = windowed(patch.hu, how)
        seen = ct if patch.maps is None else torch.cat([ct, patch.maps])
        return Batch(inputs=seen[None], labels=patch.labels[None], drawn=drawn)
    hu, labels = patch.hu, patch.labels[:, how.slices // 2]
    if resized_yx is not None:
        hu = functional.interpolate(hu[None], resized_yx, mode="bilinear", align_corners=False)[0]
        labels = functional.interpolate(labels[None], resized_yx, mode="bilinear", align_corners=False)[0]
        labels = (labels >= 0.5).to(torch.float32)
    grey = grey_levels(hu, how.window_hu)
    return Batch(inputs=normalised(grey[None], how.mean, how.sd), labels=labels[None], drawn=drawn)
