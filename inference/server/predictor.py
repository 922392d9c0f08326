"""A network with its weights, ready to be asked about tiles."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from torch import nn

from inference.server.intensity import window_channels
from inference.server.networks.catalogue import build
from inference.server.pipelines.organs import mirror_averaged, mirrored_order
from inference.server.pipelines.sliding_window import Predict
from inference.spec import ModelSpec

_NOTHING_LOGIT = -20.0


def load_network(spec: ModelSpec, weights: Path) -> nn.Module:
    """The spec's network with the weights of a safetensors file, for evaluation.

    Raises ValueError where the file is not the one that the spec was published with, or does not fit the network.
    """
    content = weights.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != spec.provenance.weights_sha256:
        raise ValueError(
            f"{weights}: sha256 {digest}, but spec.json was published with {spec.provenance.weights_sha256}"
        )
    network = build(spec.network)
    try:
        network.load_state_dict(load_tensors(content))
    except RuntimeError as error:
        raise ValueError(f"{weights} does not fit the network of spec.json: {error}") from error
    return network.eval()


def tile_predictor(network: nn.Module, spec: ModelSpec, device: torch.device) -> Predict:
    """HU (z, y, x) of one tile -> logits (structure, z, y, x) on the processor; tiles of air are not looked at."""
    network = network.to(device)
    windows, structures = spec.pipeline.windows_hu, len(spec.structures)

    def predict(hu: torch.Tensor) -> torch.Tensor:
        if not bool((hu > spec.pipeline.body_threshold_hu).any()):
            return torch.full((structures, *hu.shape), _NOTHING_LOGIT)
        channels = window_channels(hu.to(device), windows)[None]
        logits: torch.Tensor = network(channels)[0].to("cpu", torch.float32)
        return logits

    return mirror_averaged(predict, mirrored_order(spec)) if spec.pipeline.mirror else predict
