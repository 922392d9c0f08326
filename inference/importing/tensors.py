"""State dicts of foreign checkpoints: tensors and plain values, read without running any code in the file."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from inference.errors import ImportRefused

_CLAIMED_MOST = 8 * 2**30


def load_tensors(file: Path, name: str) -> Any:
    """Load a checkpoint's values; ImportRefused where it would run code, claims too much memory, or cannot be read."""
    if zipfile.is_zipfile(file):
        expect_honest_sizes(file, name)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError as error:
        raise ImportRefused(f"{name}: takes more memory than an import may") from error
    except Exception as error:
        raise ImportRefused(f"{name}: {_short(error)}") from error


def expect_honest_sizes(file: Path, name: str) -> None:
    """Refuse an archive whose entries would unpack to more than its own size: torch stores them uncompressed."""
    try:
        with zipfile.ZipFile(file) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ImportRefused(f"{name}: not a readable archive: {error}") from error
    if claimed > min(_CLAIMED_MOST, 2 * file.stat().st_size + 2**20):
        raise ImportRefused(
            f"{name}: claims {claimed} bytes in a file of {file.stat().st_size}: torch does not write such a file"
        )


def _short(error: Exception) -> str:
    """Return the sentence of torch's message that names what is unsafe, else its reason without torch's advice."""
    text = str(error)
    for line in text.splitlines():
        if "GLOBAL" in line:
            return f"it would run code when loaded ({line.split('Please use')[0].strip()[:160]}); refused. Ask its maker for a checkpoint that holds only tensors"
    reason = text.rpartition("WeightsUnpickler error:")[2].strip()
    return (
        f"cannot be read as a checkpoint: {reason.splitlines()[0][:200] if reason else type(error).__name__}"
    )
