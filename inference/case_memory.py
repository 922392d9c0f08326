"""The peak memory of a case, estimated from its grid and its model's contract before anything is sent.

The figures follow from the code that moves the volume (`client`, `server/triton_backend`, the pipelines); `python -m
bench.case_memory` compares them with measurements. They are meant to be a little too high.
"""

import math
from collections.abc import Callable

from imaging.volumes.grid import Grid
from inference.contract import ModelContract, NativeRuntime, SliceStacks
from inference.errors import ModelUnavailable
from inference.host_memory import Memory

_FLOAT = 4
_IMAGE = 2  # bytes per voxel: int16
_ACTIVATIONS_BYTES = 200_000_000  # of a few tiles or slices in a network
_WORK_FLOATS = (
    4  # the image on the model's voxels, a structure's logits above the threshold, its mask and weights
)


def memory_need_bytes(contract: ModelContract, grid: Grid, *, is_server_here: bool = True) -> int:
    """Return the bytes that node and model server need for a case, besides the volume itself (grid: z, y, x).

    With ``is_server_here`` false, only the node's: the server has memory of its own.
    """
    voxels = math.prod(grid.shape_zyx)
    image = _IMAGE if contract.in_hounsfield_units else _FLOAT
    exchange = image + contract.planes  # one copy of what is sent and what is returned
    node = voxels * (image + exchange + contract.planes + 1)  # reoriented, in transfer, the answer, one mask
    if not is_server_here:
        return node
    server = voxels * (exchange + contract.planes)  # Triton's own copy, and the answer that the model writes
    return node + server + _network_bytes(contract, grid) + _ACTIVATIONS_BYTES


def make_room_for(
    need_bytes: int, model: str, grid: Grid, memory: Callable[[], Memory], free: Callable[[], None]
) -> None:
    """Make sure that a case fits, if need be after calling ``free``; raises like ``Memory.admit``.

    A model's process keeps the memory of its largest case until it is unloaded, so without ``free`` a second large case
    would wait forever.
    """
    z, y, x = grid.shape_zyx
    what = f"a volume of {z} slices of {y} x {x} voxels with model {model}"
    try:
        memory().admit(need_bytes, what)
    except ModelUnavailable:
        free()
        memory().admit(need_bytes, what)


def _network_bytes(contract: ModelContract, grid: Grid) -> int:
    """Return the bytes of the arrays on the model's voxels; own code is assumed to use two float volumes."""
    runtime = contract.runtime
    if not isinstance(runtime, NativeRuntime):
        return 2 * _FLOAT * math.prod(grid.shape_zyx)
    floats = len(contract.labels) + _WORK_FLOATS
    z_mm, y_mm, x_mm = (
        step * length for step, length in zip(grid.spacing_zyx_mm, grid.shape_zyx, strict=True)
    )
    pipeline = runtime.pipeline
    if isinstance(pipeline, SliceStacks):
        slices = max(grid.shape_zyx[0], math.ceil(z_mm / pipeline.slice_mm))
        return _FLOAT * floats * slices * math.prod(pipeline.frame.size_yx)
    finest_slice_mm = min(
        pipeline.voxels.slice_mm, max(grid.spacing_zyx_mm[0], pipeline.voxels.accepted_slice_mm[0])
    )
    finest_mm = min(
        pipeline.voxels.in_plane_mm,
        max(min(grid.spacing_zyx_mm[1:]), pipeline.voxels.accepted_in_plane_mm[0]),
    )
    model_voxels = (
        math.ceil(z_mm / finest_slice_mm) * math.ceil(y_mm / finest_mm) * math.ceil(x_mm / finest_mm)
    )
    return _FLOAT * floats * model_voxels
