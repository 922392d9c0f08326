"""The architectures that a spec.json may name."""

from torch import nn

from inference.server.networks.compact_unet3d import CompactUnet3d, CompactUnet3dConfig
from inference.spec import NetworkSpec


def build(spec: NetworkSpec) -> nn.Module:
    """The network of a spec with random weights; ValueError for an unknown architecture or parameter."""
    if spec.architecture != "compact_unet3d":
        raise ValueError(f"no network architecture {spec.architecture!r}; there is compact_unet3d")
    try:
        return CompactUnet3d(CompactUnet3dConfig(**spec.parameters))  # type: ignore[arg-type] # checked by the call
    except TypeError as error:
        raise ValueError(f"parameters of compact_unet3d: {error}") from error
