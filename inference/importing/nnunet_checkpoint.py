"""nnU-Net's checkpoints: tensors and a few plain values, read without running any code in the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from inference.contract import NetworkDefinition
from inference.errors import ImportRefused
from inference.importing.tensors import load_tensors
from inference.server.networks.catalogue import build_network

# nnU-Net stores a NumPy scalar (_best_ema); these three names can only rebuild one.
_SCALAR = np._core.multiarray.scalar  # type: ignore[attr-defined]
_ALLOWED: list[Any] = [
    _SCALAR,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    (_SCALAR, "numpy.core.multiarray.scalar"),  # as NumPy 1 spelt it
]
_SECOND_NAMES = (".all_modules.",)
_SECOND_ENCODER = "decoder.encoder."


def load_checkpoint(file: Path, name: str) -> dict[str, Any]:
    """Load a checkpoint's values; ImportRefused where it would run code, claims too much, or is not nnU-Net's."""
    with torch.serialization.safe_globals(_ALLOWED):
        checkpoint = load_tensors(file, name)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("network_weights"), dict):
        raise ImportRefused(f"{name}: not a checkpoint of nnU-Net v2: it has no network_weights")
    return checkpoint


def write_weights(
    weights: Mapping[str, Any], definition: NetworkDefinition, folder: Path, source: str
) -> None:
    """Write the tensors of a state dict under their primary names; ImportRefused where they are not the network's."""
    network = build_network(definition)
    expected = {key: value.shape for key, value in network.state_dict().items()}
    found = {_without_prefix(key): value for key, value in weights.items()}
    kept = {key: value for key, value in found.items() if key in expected}
    _expect_second_names(found, kept, source)
    missing = sorted(set(expected) - set(kept))
    if missing:
        raise ImportRefused(
            f"{source}: lacks {len(missing)} tensors of the network of plans.json, {missing[0]} among them; a trainer "
            "that builds another network than the plans say cannot be imported"
        )
    for key, shape in expected.items():
        if kept[key].shape != shape:
            raise ImportRefused(
                f"{source}: {key} has the shape {tuple(kept[key].shape)}, the network of plans.json {tuple(shape)}"
            )
        if kept[key].is_floating_point() and not torch.isfinite(kept[key]).all():
            raise ImportRefused(f"{source}: {key} has values that are not numbers")
    tensors = {
        key: value.detach().to(torch.float32) if value.is_floating_point() else value
        for key, value in kept.items()
    }
    save_file(
        {key: value.contiguous().clone() for key, value in tensors.items()}, folder / definition.weights
    )


def _expect_second_names(found: Mapping[str, Any], kept: Mapping[str, Any], source: str) -> None:
    """Refuse any tensor left out that is not one of those kept, under its second name."""
    for key, value in found.items():
        if key in kept:
            continue
        first = _first_name(key)
        if first not in kept:
            raise ImportRefused(
                f"{source}: has the tensor {key}, which the network of plans.json has not; a trainer that builds "
                "another network than the plans say cannot be imported"
            )
        if not isinstance(value, torch.Tensor) or not torch.equal(value, kept[first]):
            raise ImportRefused(f"{source}: {key} and {first} should be one tensor and are two")


def _first_name(key: str) -> str:
    """Return a tensor's primary name: that of the module that owns it.

    In a block's sequence, 0 is the convolution and a later index the norm.
    """
    key = key.removeprefix("decoder.") if key.startswith(_SECOND_ENCODER) else key
    before, mark, after = key.partition(_SECOND_NAMES[0])
    if not mark:
        return key
    number, _, leaf = after.partition(".")
    return f"{before}.{'conv' if number == '0' else 'norm'}.{leaf}"


def _without_prefix(key: str) -> str:
    return key.removeprefix("module.").removeprefix("_orig_mod.")
