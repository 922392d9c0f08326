"""The pipelines that a contract's native runtime may name: from an image through networks to structures."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from inference.contract import ModelContract
from inference.server.pipelines.slice_stacks import SlicePipeline
from inference.server.pipelines.stratified import StratifiedPipeline
from inference.server.pipelines.whole_volume_tiles import TilePipeline
from inference.server.precision import AutocastNetwork
from inference.server.predictor import ServedPredictor
from inference.server.serving_form import serving_form

# A pipeline is built from the contract, its networks by role (in evaluation mode, on the device) and the device.
BuildPipeline = Callable[[ModelContract, Mapping[str, nn.Module], torch.device], ServedPredictor]

PIPELINES: Mapping[str, BuildPipeline] = {
    "slice_stacks": SlicePipeline.from_contract,
    "stratified": StratifiedPipeline.from_contract,
    "whole_volume_tiles": TilePipeline.from_contract,
}


def build_pipeline(
    contract: ModelContract, networks: Mapping[str, nn.Module], device: torch.device
) -> ServedPredictor:
    """Build the pipeline of a native contract with its networks by role; the same in serving and validation.

    Raises ValueError for a pipeline that is not in the catalogue.
    """
    name = contract.native.pipeline.name
    if name not in PIPELINES:
        raise ValueError(f"there is no pipeline {name!r}; there are: {', '.join(sorted(PIPELINES))}")
    placed = {role: network.to(device).eval() for role, network in networks.items()}
    if name == "slice_stacks":
        placed = {role: serving_form(network) for role, network in placed.items()}
    if contract.native.precision == "bfloat16":
        placed = {role: AutocastNetwork(network).eval() for role, network in placed.items()}
    return PIPELINES[name](contract, placed, device)
