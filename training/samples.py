"""From a patch of a case to a network's input and target, in the form of the pipeline that will serve the network."""

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
    """Return the size (z, y, x) in voxels of a network's input: a tile, or a stack of frames."""
    if isinstance(how, SliceStacks):
        return how.slices, *how.frame.size_yx
    return how.tile_zyx


def expected_voxels(how: Pipeline) -> VoxelRange | None:
    """Return the spacings that a pipeline accepts unchanged; None where it takes slices of any pixel size."""
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
    """Return one sample: the input that serving would make; for a stack, with the labels of the middle slice.

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
