"""Makes expected.npz: what nnU-Net itself answers for the small folders of tests.support.nnunet_models.

Run with an interpreter that has nnunetv2 (2.8.1 made what is committed), torch==2.13.0, pydantic and safetensors, in
the project's folder: ``python -m tests.inference.importing.reference tests/inference/importing/expected.npz``. With
nnunetv2 beside the node's own libraries, test_nnunet_parity.py asks it anew instead of reading the file.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.nnunet_models import (
    IMAGES,
    TOTAL_FAST,
    TOTAL_PARTS,
    VARIANTS,
    image,
    make_total,
    make_trained,
)

Labels = dict[str, NDArray[np.uint8]]


def answers(variant: str, folder: Path) -> Labels:
    """nnU-Net's label maps (z, y, x, canonical) of a variant for every image, on the processor."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    how: dict[str, Any] = VARIANTS[variant]
    folds = how.get("folds", (0,))
    predictor.initialize_from_trained_model_folder(str(folder), folds, "checkpoint_final.pth")
    turned = slice(None, None, -1) if how.get("reader") == "NibabelIOWithReorient" else slice(None)
    found = {}
    for name in IMAGES:
        hu, spacing = image(name)
        as_read = np.ascontiguousarray(hu[:, turned, turned]).astype(np.float32)[None]
        labels = predictor.predict_single_npy_array(as_read, {"spacing": list(spacing)}, None, None, False)
        found[f"{variant}/{name}"] = np.asarray(labels, np.uint8)[:, turned, turned]
    return found


def total_answers(mode: str, folder: Path) -> Labels:
    """TotalSegmentator's label maps (z, y, x, canonical) of its task total, run as its own program runs it."""
    import os

    datasets, voxel = (TOTAL_FAST, 3.0) if mode == "fast" else (TOTAL_PARTS, 1.5)
    os.environ["nnUNet_results"] = str(make_total(folder, datasets, voxel))  # noqa: SIM112 - nnU-Net spells it so
    import nibabel as nib
    from totalsegmentator.nnunet import nnUNet_predict_image

    found = {}
    for name in IMAGES:
        hu, (dz, dy, dx) = image(name)
        affine = np.diag(
            [-dx, -dy, dz, 1.0]
        )  # our x runs to the left, y to the back; NIfTI's to right and front
        answer = nnUNet_predict_image(
            nib.Nifti1Image(hu.T.astype(np.int16), affine),
            None,
            [*datasets] if mode == "default" else 297,
            trainer="nnUNetTrainer_4000epochs_NoMirroring" if mode == "fast" else "nnUNetTrainerNoMirroring",
            folds=[0],
            resample=voxel,
            task_name="total",
            device="cpu",
            quiet=True,
            skip_saving=True,
            nr_threads_saving=1,
        )
        found[f"total_{mode}/{name}"] = np.asarray(answer[0].dataobj, np.uint8).T
    return found


def main(target: str) -> None:
    """Ask for every variant and write the file."""
    found: Labels = {}
    for mode in ("fast", "default") if "--total" in sys.argv else ():
        with tempfile.TemporaryDirectory() as folder:
            found |= total_answers(mode, Path(folder))
    for variant, how in ({} if "--total" in sys.argv else VARIANTS).items():
        with tempfile.TemporaryDirectory() as folder:
            found |= answers(variant, make_trained(Path(folder), **how))
    np.savez_compressed(target, **{key.replace("/", "__"): value for key, value in found.items()})


if __name__ == "__main__":
    main(sys.argv[1])
