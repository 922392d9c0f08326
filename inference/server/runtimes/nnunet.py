"""The nnU-Net runtime: networks of the catalogue with safetensors weights, run by nnU-Net's rules."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from inference.contract import ModelContract, NetworkDefinition
from inference.contract.nnunet import NnunetPart, NnunetRuntime
from inference.server.networks.nnunet_unets import NnunetConfig
from inference.server.nnunet.configuration import Configuration
from inference.server.nnunet.predictor import NnunetPredictor
from inference.server.nnunet.tiles import TiledNetwork
from inference.server.precision import AutocastNetwork, MeasuredType
from inference.server.predictor import ServedPredictor
from inference.server.runtimes.native import load_network


def load_nnunet(
    contract: ModelContract,
    folder: Path,
    device: torch.device,
    reduced: Callable[[nn.Module], nn.Module] | None = None,
) -> ServedPredictor:
    """Load the networks of every part and fold in a version's folder.

    ``reduced`` turns a network into one that computes in bfloat16, if the contract has that type; without it the type
    is measured. Raises ValueError where a file does not have the contract's checksum, or does not fit its network.
    """
    runtime = contract.runtime
    if not isinstance(runtime, NnunetRuntime):
        raise ValueError(f"{contract.name} has the runtime {runtime.kind}, not nnunet")
    in_type: Callable[[nn.Module], nn.Module] = partial(
        AutocastNetwork, measured=MeasuredType(corner_voxels(runtime.parts[0]))
    )
    if runtime.precision != "bfloat16":
        in_type = nn.Module.eval
    elif reduced is not None:
        in_type = reduced
    configurations = tuple(
        Configuration(part=part, network=_networks(contract, part, folder, device, in_type))
        for part in runtime.parts
    )
    return NnunetPredictor(contract=contract, runtime=runtime, configurations=configurations)


def corner_voxels(part: NnunetPart) -> tuple[int, ...]:
    """Return the size of the tile on which types are measured: half a patch along each axis, which the strides divide.

    It is a whole patch where half of one would leave a map of a single voxel, which instance norms refuse.
    """
    strides = NnunetConfig(**part.parameters).strides  # type: ignore[arg-type]  # the catalogue validates
    steps = [math.prod(stage[axis] for stage in strides) for axis in range(len(part.patch))]
    return tuple(
        min(size, max(2 * step, size // 2 // step * step))
        for size, step in zip(part.patch, steps, strict=True)
    )


def _networks(
    contract: ModelContract,
    part: NnunetPart,
    folder: Path,
    device: torch.device,
    in_type: Callable[[nn.Module], nn.Module],
) -> TiledNetwork:
    folds: list[nn.Module] = []
    for file in part.folds:
        definition = NetworkDefinition(
            architecture=part.architecture, parameters=part.parameters, weights=file
        )
        network = load_network(definition, folder, contract.checksums[file]).to(device)
        folds.append(in_type(network).eval())
    return TiledNetwork(part, folds, device)
