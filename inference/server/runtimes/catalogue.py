"""The runtimes that a contract may name; the loader of a package is chosen only from this table."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from inference.contract import ModelContract
from inference.server.predictor import ServedPredictor
from inference.server.runtimes.bundle import load_bundle
from inference.server.runtimes.native import load_native
from inference.server.runtimes.nnunet import load_nnunet

# A runtime loads a contract's files from the version's folder for a device.
LoadRuntime = Callable[[ModelContract, Path, torch.device], ServedPredictor]

RUNTIMES: Mapping[str, LoadRuntime] = {
    "bundle": load_bundle,
    "native": load_native,
    "nnunet": load_nnunet,
}


def load_predictor(contract: ModelContract, folder: Path, device: torch.device) -> ServedPredictor:
    """Load a version's package; return the predictor that serving and validation share.

    Raises ValueError for a runtime that is not in the table, and where its loader refuses the package.
    """
    kind = contract.runtime.kind
    if kind not in RUNTIMES:
        raise ValueError(f"there is no runtime {kind!r}; there are: {', '.join(sorted(RUNTIMES))}")
    return RUNTIMES[kind](contract, folder, device)
