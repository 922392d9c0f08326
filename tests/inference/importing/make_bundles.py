"""Makes bundles/: three tiny bundles by MONAI itself, two images, and what MONAI predicts for them.

Run in an environment with monai==1.6.1, torch==2.13.0, nibabel and scikit-image, in the project's folder:
``python -m tests.inference.importing.make_bundles TOY OUT``; TOY is a bundle of others that is predicted for as well.
The weights are random; the last layer's bias is moved so that every class appears. They contour nothing.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = (((44, 38, 27), (1.1, 0.9, 2.3)), ((30, 34, 20), (1.5, 1.5, 3.0)))
SIDES = ["Parotid_R", "Parotid_L"]


def on(keys: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": name, "keys": keys, **arguments}


BUNDLES: dict[str, dict[str, Any]] = {
    "segresnet_mr": {
        "modality": "MR",
        "labels": ["background", *SIDES],
        "network_def": {
            "_target_": "monai.networks.nets.SegResNet",
            "spatial_dims": 3,
            "init_filters": 8,
            "in_channels": 1,
            "out_channels": 3,
            "blocks_down": [1, 1],
            "blocks_up": [1],
        },
        "preprocessing": [
            on("image", "LoadImaged"),
            on("image", "EnsureChannelFirstd"),
            on("image", "Orientationd", axcodes="RAS"),
            on("image", "Spacingd", pixdim=[1.5, 1.5, 1.5], mode="bilinear"),
            on("image", "NormalizeIntensityd", nonzero=True, channel_wise=True),
        ],
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [32, 32, 32],
            "sw_batch_size": 2,
            "overlap": 0.625,
            "mode": "gaussian",
            "padding_mode": "replicate",
        },
        "postprocessing": [
            on("pred", "Activationsd", softmax=True),
            on(
                "pred",
                "Invertd",
                transform="@preprocessing",
                orig_keys="image",
                nearest_interp=False,
                to_tensor=True,
            ),
            on("pred", "AsDiscreted", argmax=True),
            on("pred", "KeepLargestConnectedComponentd", applied_labels=[1, 2]),
        ],
    },
    "dynunet_sigmoid": {
        "modality": "CT",
        "labels": SIDES,
        "network_def": {
            "_target_": "DynUNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 2,
            "kernel_size": [3, 3, 3],
            "strides": [1, 2, 2],
            "upsample_kernel_size": [2, 2],
            "filters": [4, 8, 8],
            "deep_supervision": True,
        },
        "preprocessing": [
            on("image", "LoadImaged", ensure_channel_first=True),
            on("image", "Orientationd", axcodes="LAS"),
            on("image", "Spacingd", pixdim=[2.0, -1, 3.0]),
            on("image", "ScaleIntensityRangePercentilesd", lower=1, upper=99, b_min=-1, b_max=1, clip=True),
            on("image", "CropForegroundd", source_key="image"),
        ],
        "inferer": {
            "_target_": "monai.inferers.SlidingWindowInferer",
            "roi_size": [16, 16, 8],
            "sw_batch_size": 1,
            "overlap": [0.25, 0.5, 0.5],
            "mode": "constant",
        },
        "postprocessing": [
            on("pred", "Activationsd", sigmoid=True),
            on("pred", "AsDiscreted", threshold=0.5),
            on("pred", "Invertd", transform="@preprocessing", orig_keys="image", nearest_interp=True),
        ],
    },
    "basic_unet": {
        "modality": "CT",
        "labels": ["background", *SIDES],
        "network_def": {
            "_target_": "BasicUNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 3,
            "features": [4, 4, 8, 8, 8, 4],
        },
        "preprocessing": [
            on("image", "LoadImaged"),
            on("image", "EnsureChannelFirstd"),
            on("image", "Orientationd", axcodes="RAS"),
            on("image", "ScaleIntensityRanged", a_min=-1000, a_max=400, b_min=0, b_max=1, clip=True),
        ],
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": [
            on("pred", "AsDiscreted", argmax=True),
            on("pred", "Invertd", transform="@preprocessing", orig_keys="image", nearest_interp=True),
        ],
    },
}


def image(seed: int) -> Any:
    """A body with two spheres, in the voxel order of DICOM."""
    import nibabel as nib

    shape, spacing = IMAGES[seed]
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    values = -900 + 1000 * (x**2 + y**2 + 0.6 * z**2 < 0.8)
    values = (
        values + 120 * ((x - 0.35) ** 2 + y**2 + z**2 < 0.06) - 80 * ((x + 0.35) ** 2 + y**2 + z**2 < 0.06)
    )
    values = values + np.random.default_rng(seed).normal(0, 25, shape)
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    affine[:3, 3] = [20, 17, -31]
    return nib.Nifti1Image(np.round(values).astype(np.int16), affine)


def documents(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """inference.json and metadata.json."""
    how = BUNDLES[name]
    inference = {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "device": "$torch.device('cpu')",
        "network_def": how["network_def"],
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": how["preprocessing"]},
        "dataset": {"_target_": "Dataset", "data": "$[{'image': 'x'}]", "transform": "@preprocessing"},
        "inferer": how["inferer"],
        "postprocessing": {"_target_": "Compose", "transforms": how["postprocessing"]},
        "checkpoint": "$@bundle_root + '/models/model.pt'",
    }
    labels = how["labels"]
    pred = {"num_channels": len(labels), "channel_def": {str(i): label for i, label in enumerate(labels)}}
    metadata = {
        "version": "0.1.0",
        "monai_version": "1.6.1",
        "name": name,
        "network_data_format": {
            "inputs": {"image": {"modality": how["modality"], "num_channels": 1}},
            "outputs": {"pred": pred},
        },
    }
    return inference, metadata


def make(name: str, folder: Path, file: Path) -> None:
    """Write a bundle with random weights and its TorchScript."""
    import torch
    from monai.networks import nets

    inference, metadata = documents(name)
    for part in ("configs", "models"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(inference, indent=1))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata, indent=1))
    torch.manual_seed(7)
    arguments = dict(BUNDLES[name]["network_def"])
    network = getattr(nets, arguments.pop("_target_").split(".")[-1])(**arguments).eval()
    logits, _, _ = answered(folder, network, file)
    middle = torch.as_tensor(np.asarray(logits)).flatten(1).median(1).values
    last = [m for m in network.modules() if isinstance(m, torch.nn.Conv3d) and m.out_channels == len(middle)][
        -1
    ]
    with torch.no_grad():
        last.bias -= middle
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    torch.jit.trace(network, torch.zeros(1, 1, 32, 32, 32)).save(str(folder / "models" / "model.ts"))


def answered(folder: Path, network: Any, file: Path) -> Any:
    """The logits of MONAI's own transforms and inferer for an image, the prepared image, the configuration."""
    import torch
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser["bundle_root"] = str(folder)
    prepared = parser.get_parsed_content("preprocessing")({"image": str(file)})
    with torch.no_grad():
        return parser.get_parsed_content("inferer")(prepared["image"][None], network)[0], prepared, parser


def predicted(folder: Path, file: Path) -> Any:
    """MONAI's label map (channel, x, y, z) for an image."""
    import torch
    from monai.bundle import ConfigParser
    from monai.data import MetaTensor

    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    network = parser.get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    logits, prepared, parser = answered(folder, network, file)
    like = prepared["image"]
    prepared["pred"] = MetaTensor(logits, meta=like.meta, applied_operations=like.applied_operations)
    return np.asarray(parser.get_parsed_content("postprocessing")(prepared)["pred"]).astype(np.uint8)


def main(toy: Path, out: Path) -> None:
    import nibabel as nib

    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"image{seed}.nii.gz" for seed in range(len(IMAGES))]
    for seed, file in enumerate(files):
        made = image(seed)
        nib.save(made, file)
        spacing = np.array(made.header.get_zooms()[::-1], np.float64)
        voxels = np.asarray(made.dataobj).transpose(2, 1, 0)
        np.savez_compressed(out / f"image{seed}.npz", image=voxels, spacing_mm=spacing)
    for name in (*BUNDLES, "toy"):
        folder = toy if name == "toy" else out / name
        if name != "toy":
            make(name, folder, files[0])
        (out / name).mkdir(exist_ok=True)
        for seed, file in enumerate(files):
            np.savez_compressed(out / name / f"predicted{seed}.npz", labels=predicted(folder, file))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
