"""The native runtime: networks of the catalogue with safetensors weights, in a pipeline of the catalogue."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from torch import nn

from inference.contract import ModelContract, NetworkDefinition
from inference.server.networks.catalogue import build_network
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.predictor import ServedPredictor


def load_native(contract: ModelContract, folder: Path, device: torch.device) -> ServedPredictor:
    """Load the networks in a version's folder and build their pipeline.

    Raises ValueError where a file does not have the contract's checksum, or does not fit its network.
    """
    networks = {
        role: load_network(definition, folder, contract.checksums[definition.weights])
        for role, definition in contract.native.networks.items()
    }
    return build_pipeline(contract, networks, device)


def load_network(definition: NetworkDefinition, folder: Path, sha256: str) -> nn.Module:
    """Build a network in evaluation mode with the weights of its safetensors file.

    Raises ValueError where the file has another checksum or does not fit the network.
    """
    weights = folder / definition.weights
    content = weights.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{weights}: sha256 {found}, but contract.json was published with {sha256}")
    network = build_network(definition)
    try:
        network.load_state_dict(load_tensors(content))
    except RuntimeError as error:
        raise ValueError(f"{weights} does not fit the network of contract.json: {error}") from error
    return network.eval()
