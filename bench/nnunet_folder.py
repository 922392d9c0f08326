"""Write an untrained full-size nnU-Net 3d_fullres folder for `bench.nnunet_speed`; run by nnU-Net's interpreter.

    PYTHON bench/nnunet_folder.py IMAGE.nii FOLDER --voxel-mm 3.0 3.0 3.0 --patch 128 128 128

The architecture is what nnU-Net plans for large CTs: PlainConvUNet, six stages of 32 to 320 features. Its weights are
random; the last layer is fitted by least squares to classes of smoothed HU in one patch, so that its label maps have
borders like a trained network's.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch.nn import functional

FEATURES = (32, 64, 128, 256, 320, 320)
BORDERS_HU = (-400.0, -60.0, 10.0, 40.0, 70.0, 150.0, 400.0)  # 8 classes
MEAN, SD, LOW, HIGH = 20.0, 300.0, -950.0, 1200.0
RESAMPLING = "resample_data_or_seg_to_shape"


def main() -> None:
    """Write dataset.json, plans.json and fold_0/checkpoint_final.pth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voxel-mm", nargs=3, type=float, default=[3.0, 3.0, 3.0])
    parser.add_argument("--patch", nargs=3, type=int, default=[128, 128, 128])
    arguments = parser.parse_args()
    torch.manual_seed(7)
    kwargs = numbers()
    ops = {"conv_op": torch.nn.Conv3d, "norm_op": torch.nn.InstanceNorm3d, "nonlin": torch.nn.LeakyReLU}
    network = PlainConvUNet(1, num_classes=len(BORDERS_HU) + 1, **{**kwargs, **ops}).apply(
        InitWeights_He(1e-2)
    )
    fit_last_layer(network.eval(), patch_of(arguments.image, arguments.patch))
    plans, dataset = documents(arguments.voxel_mm, arguments.patch, kwargs)
    (arguments.folder / "fold_0").mkdir(parents=True)
    (arguments.folder / "plans.json").write_text(json.dumps(plans))
    (arguments.folder / "dataset.json").write_text(json.dumps(dataset))
    checkpoint = {
        "network_weights": network.state_dict(),
        "optimizer_state": None,
        "grad_scaler_state": None,
        "logging": {},
        "_best_ema": np.float32(0.5),
        "current_epoch": 1000,
        "init_args": {"plans": plans, "configuration": "3d_fullres", "fold": 0, "dataset_json": dataset},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(checkpoint, arguments.folder / "fold_0" / "checkpoint_final.pth")


def numbers() -> dict[str, Any]:
    """Return the architecture's arguments as plans.json states them."""
    count = len(FEATURES)
    return {
        "n_stages": count,
        "features_per_stage": list(FEATURES),
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3]] * count,
        "strides": [[1, 1, 1], *[[2, 2, 2]] * (count - 1)],
        "n_conv_per_stage": [2] * count,
        "n_conv_per_stage_decoder": [2] * (count - 1),
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }


def patch_of(image: Path, patch: list[int]) -> torch.Tensor:
    """Return the middle of the image, in HU, without resampling."""
    array = sitk.GetArrayFromImage(sitk.ReadImage(str(image))).astype(np.float32)
    starts = [max(0, (n - size) // 2) for n, size in zip(array.shape, patch, strict=True)]
    cut = array[tuple(slice(b, b + size) for b, size in zip(starts, patch, strict=True))]
    ends = [side for n, size in reversed(list(zip(cut.shape, patch, strict=True))) for side in (0, size - n)]
    return functional.pad(torch.from_numpy(cut)[None, None], ends, value=-1000.0)


@torch.inference_mode()
def fit_last_layer(network: Any, hu: torch.Tensor) -> None:
    """Set the last layer's weights by ridge regression on a patch."""
    layer, seen = network.decoder.seg_layers[-1], []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network((hu.clamp(LOW, HIGH) - MEAN) / SD)
    hook.remove()
    classes = torch.bucketize(functional.avg_pool3d(hu, 5, 1, 2).flatten(), torch.tensor(BORDERS_HU))
    features = seen[0][0].flatten(1).T.double()
    features = torch.cat([features, torch.ones(len(features), 1)], 1)
    wanted = 10.0 * functional.one_hot(classes, len(BORDERS_HU) + 1).double()
    gram = features.T @ features + 1e-3 * len(features) * torch.eye(features.shape[1])
    solved = torch.linalg.solve(gram, features.T @ wanted).T.float()
    layer.weight.copy_(solved[:, :-1].reshape(layer.weight.shape))
    layer.bias.copy_(solved[:, -1])


def documents(voxel_mm: list[float], patch: list[int], kwargs: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return plans.json and dataset.json."""
    orders = {"data": 3, "seg": 1, "probabilities": 1}
    configuration: dict[str, Any] = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": patch,
        "spacing": voxel_mm,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": kwargs,
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }
    for what, order in orders.items():
        configuration[f"resampling_fn_{what}"] = RESAMPLING
        configuration[f"resampling_fn_{what}_kwargs"] = {
            "is_seg": what == "seg",
            "order": order,
            "order_z": 0,
            "force_separate_z": None,
        }
    intensities = {"mean": MEAN, "std": SD, "percentile_00_5": LOW, "percentile_99_5": HIGH}
    plans = {
        "dataset_name": "Dataset903_FullSize",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": intensities},
    }
    labels = {"background": 0, **{f"class_{n}": n for n in range(1, len(BORDERS_HU) + 1)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1, "file_ending": ".nii"}
    return plans, dataset


if __name__ == "__main__":
    main()
