"""TorchScript files, loaded for evaluation."""

import warnings
from pathlib import Path
from typing import Any

import torch


def load_script(file: Path, device: torch.device) -> Any:
    """Load a TorchScript file; RuntimeError where torch cannot.

    torch calls the format deprecated, but bundles use it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(file), map_location=device).eval()  # type: ignore[no-untyped-call]
