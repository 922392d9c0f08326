"""Trained folders of nnU-Net v2 with small random networks, in every variant that the importer reads.

The same recipe makes the folders for nnU-Net itself (tests/inference/importing/reference.py), whose labels for
``image()`` are committed beside the tests.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inference.contract import NetworkDefinition
from inference.server.networks.catalogue import build_network

LABELS = {"background": 0, "Parotid_L": 1, "Parotid_R": 2, "Mandible": 3}
REGIONS = {"background": 0, "all_of_it": [1, 2, 3], "core": [2, 3], "Mandible": 3}
_FEATURES = (4, 8, 8)

# Name -> how a folder differs from the default: 3-D, plain, new plans, one fold, mirrored, SimpleITK's reader.
VARIANTS: dict[str, dict[str, Any]] = {
    "3d": {},
    "2d": {"dimensions": 2, "old_plans": True},
    "3d_residual_regions": {
        "residual": True,
        "labels": REGIONS,
        "transpose": [2, 0, 1],
        "mirror": None,
    },
    "3d_ras_folds_ignore": {
        "reader": "NibabelIOWithReorient",
        "folds": (0, 2),
        "mirror": (2,),
        "labels": {**LABELS, "ignore": 4},
    },
    "3d_lowres_anisotropic": {"configuration": "3d_lowres", "spacing": [7.0, 1.7, 1.7], "mirror": None},
    "3d_zscore": {"scheme": "ZScoreNormalization", "channel": "T2", "mirror": None},
}
# TotalSegmentator's task total: its fast mode, and the first two of its five networks, by dataset.
TOTAL_FAST = {297: {"spleen": 1, "kidney_right": 2, "kidney_left": 3}}
TOTAL_PARTS = {
    291: {"spleen": 1, "kidney_right": 2, "kidney_left": 3},
    292: {"sacrum": 1, "vertebrae_S1": 2, "vertebrae_L5": 3},
}
# Spacing z, y, x and voxels of the images: as trained, finer with thick slices, nearly isotropic.
IMAGES = {
    "native": ((2.5, 2.0, 2.0), (18, 30, 26)),
    "thick": ((6.0, 1.5, 1.5), (9, 38, 33)),
    "isotropic": ((2.2, 2.2, 2.2), (20, 27, 24)),
}


def image(name: str) -> tuple[NDArray[np.int16], tuple[float, float, float]]:
    """A lopsided head of water with denser pieces and noise, in air that is not 0; and its spacing."""
    spacing, shape = IMAGES[name]
    z, y, x = np.meshgrid(*((np.arange(n) + 0.5) / n - 0.5 for n in shape), indexing="ij")
    noise = np.random.default_rng(7).normal(0, 25, shape)
    hu = np.where((z / 0.48) ** 2 + (y / 0.42) ** 2 + (x / 0.4) ** 2 < 1, 30.0, -1000.0) + noise
    hu[(z + 0.1) ** 2 + (y - 0.1) ** 2 + (x - 0.2) ** 2 < 0.02] = 600.0
    hu[(z - 0.2) ** 2 + (y + 0.2) ** 2 + (x + 0.15) ** 2 < 0.01] = -300.0
    return hu.astype(np.int16), spacing


def make_trained(
    root: Path,
    *,
    dimensions: int = 3,
    residual: bool = False,
    labels: dict[str, Any] | None = None,
    transpose: list[int] | None = None,
    mirror: tuple[int, ...] | None = (0, 1, 2),
    folds: tuple[int, ...] = (0,),
    old_plans: bool = False,
    reader: str = "SimpleITKIO",
    configuration: str | None = None,
    spacing: list[float] | None = None,
    scheme: str = "CTNormalization",
    channel: str = "CT",
    seed: int = 3,
    dataset_name: str = "Dataset902_Tiny",
    trainer: str = "nnUNetTrainer",
    patch: list[int] | None = None,
    trained: tuple[NetworkDefinition, dict[str, torch.Tensor]] | None = None,
) -> Path:
    """Write one trained configuration below ``root`` as nnU-Net leaves it, and return its folder.

    ``trained``: a plain 3-D network with its weights, instead of a small random one.
    """
    configuration = configuration or ("2d" if dimensions == 2 else "3d_fullres")
    labels = labels or LABELS
    folder = root / dataset_name / f"{trainer}__nnUNetPlans__{configuration}"
    made = None if trained is None else trained[0]
    chosen = _configuration(dimensions, residual, spacing or [2.5, 2.0, 2.0][3 - dimensions :], scheme, made)
    chosen["patch_size"] = patch or chosen["patch_size"]
    plans = {
        "dataset_name": "Dataset902_Tiny",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": reader,
        "transpose_forward": transpose or [0, 1, 2],
        "transpose_backward": [int(i) for i in np.argsort(transpose or [0, 1, 2])],
        "configurations": {configuration: _old(chosen, dimensions) if old_plans else chosen},
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 40.0, "std": 210.0, "percentile_00_5": -900.0, "percentile_99_5": 700.0}
        },
    }
    dataset = {"channel_names": {"0": channel}, "labels": labels, "numTraining": 1, "file_ending": ".nii.gz"}
    if labels is REGIONS:
        dataset["regions_class_order"] = [1, 2, 3]
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    heads = 3 if labels is REGIONS else 4
    for fold in folds:
        (folder / f"fold_{fold}").mkdir()
        checkpoint = {
            "network_weights": _random(dimensions, residual, heads, seed + fold)
            if trained is None
            else _named(trained[1]),
            "optimizer_state": {"state": {}},
            "grad_scaler_state": None,
            "logging": {"train_losses": [0.5]},
            "_best_ema": np.float32(0.25),
            "current_epoch": 3,
            "init_args": {
                "configuration": configuration,
                "fold": fold,
                "plans": plans,
                "dataset_json": dataset,
            },
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": None if mirror is None else mirror[: dimensions or 3],
        }
        if dimensions == 2 and mirror is not None:
            checkpoint["inference_allowed_mirroring_axes"] = (0, 1)
        torch.save(checkpoint, folder / f"fold_{fold}" / "checkpoint_final.pth")
    return folder


def make_total(root: Path, datasets: dict[int, dict[str, int]], voxel_mm: float) -> Path:
    """Write the networks of a task as TotalSegmentator's weights lie, and return their folder."""
    for number, labels in datasets.items():
        make_trained(
            root,
            labels={"background": 0, **labels},
            spacing=[voxel_mm] * 3,
            seed=number,
            dataset_name=f"Dataset{number}_TotalSegmentator_part",
            trainer="nnUNetTrainer_4000epochs_NoMirroring" if number == 297 else "nnUNetTrainerNoMirroring",
        )
    return root


def definition(dimensions: int, residual: bool, heads: int) -> NetworkDefinition:
    """The network of a folder, by our names."""
    kernel, down = [3] * dimensions, [2] * dimensions
    flat = [1, *kernel[1:]] if dimensions == 3 else kernel
    return NetworkDefinition(
        architecture="residual_encoder_unet" if residual else "plain_conv_unet",
        parameters={
            "out_channels": heads,
            "features": list(_FEATURES),
            "kernels": [flat, kernel, kernel],
            "strides": [[1] * dimensions, down, down],
            "blocks": [2, 1, 2],
            "decoder_blocks": [1, 2],
        },
    )


def _named(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights under every name that nnU-Net's own network gives them."""
    return {name: tensor for key, tensor in state.items() for name in _every_name(key)}


def _random(dimensions: int, residual: bool, heads: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    state = build_network(definition(dimensions, residual, heads)).state_dict()
    drawn: dict[str, torch.Tensor] = {}
    for key, value in sorted(state.items()):
        scale = 0.35 if value.ndim > 1 else 0.5
        tensor = torch.randn(value.shape, generator=generator) * scale + (
            1.0 if "norm.weight" in key else 0.0
        )
        if "seg_layers" in key:  # no class wins everywhere: heads without bias, of weights that sum to 0
            tensor = tensor - tensor.mean(1, keepdim=True) if tensor.ndim > 1 else tensor * 0.0
        drawn[key] = tensor
    return _named(drawn)


def _every_name(key: str) -> list[str]:
    names = [key]
    before, _, leaf = key.rpartition(".")
    owner, _, layer = before.rpartition(".")
    if layer in ("conv", "norm"):
        names.append(f"{owner}.all_modules.{'0' if layer == 'conv' else '1'}.{leaf}")
    if key.startswith("encoder."):
        names += [f"decoder.{name}" for name in names]
    return names


def _configuration(
    dimensions: int, residual: bool, spacing: list[float], scheme: str, made: NetworkDefinition | None
) -> dict[str, Any]:
    parameters = (made or definition(dimensions, residual, 4)).parameters
    name = "ResidualEncoderUNet" if residual else "PlainConvUNet"
    return {
        "data_identifier": "x",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [12, 16, 16][3 - dimensions :],
        "spacing": spacing,
        "normalization_schemes": [scheme],
        "use_mask_for_norm": [False],
        **{
            f"resampling_fn_{what}": "resample_data_or_seg_to_shape"
            for what in ("data", "seg", "probabilities")
        },
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities_kwargs": {
            "is_seg": False,
            "order": 1,
            "order_z": 0,
            "force_separate_z": None,
        },
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
            "arch_kwargs": {
                "n_stages": 3,
                "features_per_stage": parameters["features"],
                "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
                "kernel_sizes": parameters["kernels"],
                "strides": parameters["strides"],
                "n_blocks_per_stage" if residual else "n_conv_per_stage": parameters["blocks"],
                "n_conv_per_stage_decoder": parameters["decoder_blocks"],
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }


def _old(chosen: dict[str, Any], dimensions: int) -> dict[str, Any]:
    """The same configuration as plans before nnU-Net 2.4 state it; their features are 4, 8, 16 at most 8."""
    numbers = chosen["architecture"]["arch_kwargs"]
    old = {key: value for key, value in chosen.items() if key != "architecture"}
    residual = "n_blocks_per_stage" in numbers
    return old | {
        "UNet_class_name": "ResidualEncoderUNet" if residual else "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 8,
        "n_conv_per_stage_encoder": numbers["n_blocks_per_stage" if residual else "n_conv_per_stage"],
        "n_conv_per_stage_decoder": numbers["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [2] * dimensions,
        "pool_op_kernel_sizes": numbers["strides"],
        "conv_kernel_sizes": numbers["kernel_sizes"],
    }
