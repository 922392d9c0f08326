"""The self-test of an import: the packaged version contours a phantom with the predictor that serves it.

Runs in the child. It proves that the package loads and answers, reports what was found and what it took, and compares
sides: a left structure to the right of its partner means wrong axes.
"""

import json
import os
import resource
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imaging.sides import Side, sides_of
from inference.contract import CONTRACT_FILE, BundleRuntime, ModelContract, NnunetRuntime
from inference.errors import ImportRefused
from inference.server.precision import rounded_to_bfloat16
from inference.server.predictor import StructurePlanes
from inference.server.runtimes.catalogue import LoadRuntime, load_predictor
from inference.server.runtimes.nnunet import load_nnunet


def run_self_test(version_folder: Path, phantom: Path) -> dict[str, Any]:
    """Let a version contour ``phantom`` (npz: image, int16 z, y, x in canonical orientation, and spacing_mm)."""
    contract = _contract(version_folder)
    started = time.monotonic()
    answer = _answered(_single_look(contract), version_folder, phantom, load_predictor)
    seconds = time.monotonic() - started
    places = {
        code: _middle(answer.planes[index // 8] & np.uint8(1 << index % 8))
        for index, code in enumerate(contract.labels)
    }
    return {
        "seconds": seconds,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "structures": len(contract.structures),
        "found": sorted(code for code, place in places.items() if place is not None),
        "swapped": swapped_pairs(contract, places),
        "in_order": in_order_pairs(contract, places),
    }


def compare_bfloat16(version_folder: Path, phantom: Path) -> dict[str, Any]:
    """Count the voxels of ``phantom`` that an nnU-Net labels differently in bfloat16, and those of its structures.

    This works on any processor: the rounding of bfloat16 is imitated (`inference.server.precision`).
    """
    contract = _single_look(_contract(version_folder))
    exact, reduced = (
        _answered(_in_type(contract, precision), version_folder, phantom, load).planes
        for precision, load in (
            ("float32", load_nnunet),
            ("bfloat16", partial(load_nnunet, reduced=rounded_to_bfloat16)),
        )
    )
    return {
        "differ": int(np.bitwise_count(exact ^ reduced).sum()),
        "foreground": int(np.bitwise_count(exact).sum()),
    }


def _answered(contract: ModelContract, folder: Path, phantom: Path, load: LoadRuntime) -> StructurePlanes:
    """Load a version and let it contour the phantom; ImportRefused where it does not run."""
    with np.load(phantom) as content:
        image, spacing = content["image"], content["spacing_mm"]
    if not contract.in_hounsfield_units:
        image = image.astype(np.float32)
    torch.set_num_threads(
        max(1, len(os.sched_getaffinity(0)) // 2)
    )  # so that an import hardly disturbs the node's work
    z, y, x = (float(step) for step in spacing)
    try:
        with torch.inference_mode():
            return load(contract, folder, torch.device("cpu")).predict(image, (z, y, x))
    except (ValueError, RuntimeError) as error:
        raise ImportRefused(f"the converted model does not run: {error}") from error


def _in_type(contract: ModelContract, precision: str) -> ModelContract:
    return contract.model_copy(
        update={"runtime": contract.runtime.model_copy(update={"precision": precision})}
    )


def _single_look(contract: ModelContract) -> ModelContract:
    """Return the contract without overlap of tiles and without mirrored passes.

    The test needs each voxel predicted only once.
    """
    runtime = contract.runtime
    if isinstance(runtime, BundleRuntime) and runtime.window is not None:
        apart = runtime.window.model_copy(update={"overlap": (0.0, 0.0, 0.0)})
        return contract.model_copy(update={"runtime": runtime.model_copy(update={"window": apart})})
    if not isinstance(runtime, NnunetRuntime):
        return contract
    parts = [part.model_copy(update={"mirror_axes": (), "step": 1.0}) for part in runtime.parts]
    return contract.model_copy(update={"runtime": runtime.model_copy(update={"parts": tuple(parts)})})


def swapped_pairs(contract: ModelContract, places: dict[str, float | None]) -> list[str]:
    """Return pairs whose left structure lies farther to the right than the right one; x runs to the left."""
    return [_words(pair) for pair in _both(contract, places) if _gap(pair, places) < 0]


def in_order_pairs(contract: ModelContract, places: dict[str, float | None]) -> list[str]:
    """Return pairs that lie on the correct sides."""
    return [_words(pair) for pair in _both(contract, places) if _gap(pair, places) > 0]


def _both(contract: ModelContract, places: dict[str, float | None]) -> list[tuple[str, str]]:
    pairs = [pair if _is_left(pair[0]) else (pair[1], pair[0]) for pair in contract.left_right_pairs]
    return [pair for pair in pairs if places[pair[0]] is not None and places[pair[1]] is not None]


def _gap(pair: tuple[str, str], places: dict[str, float | None]) -> float:
    left, right = places[pair[0]], places[pair[1]]
    assert left is not None  # _both checked
    assert right is not None
    return left - right


def _is_left(code: str) -> bool:
    return Side.LEFT in sides_of(code)


def _words(pair: tuple[str, str]) -> str:
    return f"{pair[0]} and {pair[1]}"


def _middle(mask: NDArray[np.uint8]) -> float | None:
    columns = np.flatnonzero(mask.any(axis=(0, 1)))
    if not len(columns):
        return None
    counts = (mask != 0).sum(axis=(0, 1))
    return float((counts * np.arange(len(counts))).sum() / counts.sum())


def _contract(version_folder: Path) -> ModelContract:
    return ModelContract.model_validate(
        json.loads((version_folder / CONTRACT_FILE).read_text(encoding="utf-8"))
    )
