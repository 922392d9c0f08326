"""The nnU-Net runtime: networks of the catalogue with safetensors weights, run by nnU-Net's rules."""

from pathlib import Path

import torch

from inference.contract import ModelContract, NetworkDefinition
from inference.contract.nnunet import NnunetPart, NnunetRuntime
from inference.server.nnunet.configuration import Configuration
from inference.server.nnunet.predictor import NnunetPredictor
from inference.server.nnunet.tiles import TiledNetwork
from inference.server.precision import AutocastNetwork
from inference.server.predictor import ServedPredictor
from inference.server.runtimes.native import load_network


def load_nnunet(contract: ModelContract, folder: Path, device: torch.device) -> ServedPredictor:
    """Load the networks of every part and fold of a version's folder.

    Raises ValueError where a file is not the one of the contract's checksums, or does not fit its network.
    """
    runtime = contract.runtime
    if not isinstance(runtime, NnunetRuntime):
        raise ValueError(f"{contract.name} has the runtime {runtime.kind}, not nnunet")
    configurations = tuple(
        Configuration(part=part, network=_networks(contract, part, folder, device)) for part in runtime.parts
    )
    return NnunetPredictor(contract=contract, runtime=runtime, configurations=configurations)


def _networks(contract: ModelContract, part: NnunetPart, folder: Path, device: torch.device) -> TiledNetwork:
    folds: list[torch.nn.Module] = []
    for file in part.folds:
        definition = NetworkDefinition(
            architecture=part.architecture, parameters=part.parameters, weights=file
        )
        network = load_network(definition, folder, contract.checksums[file]).to(device)
        runtime = contract.runtime
        assert isinstance(runtime, NnunetRuntime)  # the caller's
        folds.append(AutocastNetwork(network).eval() if runtime.precision == "bfloat16" else network)
    return TiledNetwork(part, folds, device)
