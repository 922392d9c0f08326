"""A network with its weights, ready to be asked about tiles."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from torch import nn

from inference.server.intensity import window_channels
from inference.server.networks.catalogue import build
from inference.server.pipelines.organs import mirrored_mean, mirrored_order
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
    """HU (tile, z, y, x) -> logits (tile, structure, z, y, x) on the processor; tiles of air are not looked at."""
    network = network.to(device)
    how, structures, order = spec.pipeline, len(spec.structures), mirrored_order(spec)

    def look(hu: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = network(window_channels(hu.to(device), how.windows_hu))
        return logits.to("cpu", torch.float32)

    def predict(hu: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(hu), structures, *hu.shape[1:]), _NOTHING_LOGIT)
        dense = (hu > how.body_threshold_hu).flatten(1).any(dim=1)
        if dense.any():
            seen = hu[dense]
            found = look(seen)
            logits[dense] = mirrored_mean(found, look(seen.flip(-1)), order) if how.mirror else found
        return logits

    return predict
