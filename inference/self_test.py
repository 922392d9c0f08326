"""Tensors whose every byte is known, to prove that server and model see what was sent.

The server of the nvidia-pytriton wheel passes garbage to models, without an error, if numpy 2 or newer is installed
in its environment. The model ``known_tensor`` returns what it was given and the checksums of what it saw.
"""

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[np.generic]]

MODEL = "known_tensor"
_SHAPES: Mapping[str, tuple[int, ...]] = {"int16": (5, 129, 211), "fp32": (40009,), "uint8": (2, 7, 129, 211)}


def known_tensors() -> dict[str, NDArray[np.generic]]:
    """Return one tensor per type sent to models, each over 64 KiB, without power-of-two axes or periodic bytes."""
    counts = {name: np.arange(np.prod(shape), dtype=np.uint32) for name, shape in _SHAPES.items()}
    mixed = {name: (n * np.uint32(2654435761)) >> np.uint32(15) for name, n in counts.items()}
    return {
        "int16": (mixed["int16"] % 4096).astype(np.int16).reshape(_SHAPES["int16"]) - np.int16(1024),
        "fp32": mixed["fp32"].astype(np.float32) / np.float32(1024),
        "uint8": (mixed["uint8"] % 256).astype(np.uint8).reshape(_SHAPES["uint8"]),
    }


def checksums(tensors: Tensors) -> NDArray[np.int64]:
    """Return the CRC-32 of each tensor's bytes, in the order int16, fp32, uint8."""
    return np.array([zlib.crc32(np.ascontiguousarray(tensors[name]).tobytes()) for name in _SHAPES], np.int64)


def difference(sent: Tensors, answered: Tensors) -> str | None:
    """Describe how the answer of ``known_tensor`` differs from the tensors sent; None where it does not."""
    for name, tensor in sent.items():
        back = answered[name]
        if back.shape != tensor.shape:
            return f"{name}: shape {tensor.shape} came back as {back.shape}"
        if not np.array_equal(back, tensor):
            wrong = int(np.count_nonzero(back != tensor))
            return f"{name}: {wrong} of {tensor.size} values came back changed"
    if not np.array_equal(answered["checksums"], checksums(sent)):
        return f"checksums: expected {checksums(sent).tolist()}, found {answered['checksums'].tolist()}"
    return None
