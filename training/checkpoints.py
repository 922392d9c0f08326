"""Checkpoints: written as a whole or not at all, and read without running any code in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch

from imaging.atomic_files import atomic_file


class CheckpointRefused(Exception):
    """A checkpoint that cannot be read or does not fit; the message names the file."""


def write_checkpoint(content: Mapping[str, object], file: Path) -> None:
    """Write tensors and plain values, replacing the file as a whole."""
    with (
        atomic_file(file) as part,
        part.open("wb") as stream,
    ):  # torch would write a path's name into the file
        torch.save(content, stream)


def read_checkpoint(file: Path, device: torch.device) -> dict[str, Any]:
    """Read what `write_checkpoint` wrote. Raises CheckpointRefused for a file that is absent or damaged."""
    if not file.exists():
        raise CheckpointRefused(f"{file}: there is no such checkpoint; did the run reach a validation?")
    damaged = f"{file} is damaged: restore it from a copy, or begin again in another folder"
    if not is_zipfile(file):
        raise CheckpointRefused(damaged)
    try:
        content: dict[str, Any] = torch.load(file, weights_only=True, map_location=device)
    except (RuntimeError, ValueError, EOFError, KeyError) as error:
        raise CheckpointRefused(f"{damaged} ({error})") from error
    return content
