"""Two tiny trained models that know left from right, top from bottom and front from back, and the phantom for them.

Six equal spheres lie in a symmetric body, each near one of its sides; which organ a sphere stands for is told by the
side on which the air is, and by nothing else. A model whose images are turned anywhere on their way gives the spheres
other names. The weights are committed (tests/node/sided); ``python -m tests.support.sided_models`` trains them again,
two minutes on two cores.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch.nn import functional

from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from inference.contract import NetworkDefinition
from inference.server.networks.catalogue import build_network
from tests.support.nnunet_models import make_trained

WEIGHTS = Path(__file__).parents[1] / "node" / "sided"
# The maker's name, the catalogue's code, and where the sphere lies: shares of the body's half axes x, y, z (LPS).
ORGANS = {
    "parotid_left": ("Parotid_L", (0.62, 0, 0)),
    "parotid_right": ("Parotid_R", (-0.62, 0, 0)),
    "brainstem": ("Brainstem", (0, 0, 0.62)),
    "esophagus": ("Esophagus", (0, 0, -0.62)),
    "larynx": ("Larynx", (0, -0.62, 0)),
    "spinal_cord": ("SpinalCord", (0, 0.62, 0)),
}
HALF_AXES_MM = (60.0, 52.0, 48.0)  # of the body, x y z
RADIUS_MM = 11.0
AIR_HU, BODY_HU, SPHERE_HU = -1000.0, 40.0, 260.0
LOW, HIGH, MEAN, SD = -900.0, 700.0, 40.0, 210.0
NNUNET_SPACING, NNUNET_SHAPE = (3.5, 3.0, 3.0), (32, 40, 48)  # z y x
BUNDLE_SPACING, BUNDLE_SHAPE = (3.5, 3.5, 3.5), (32, 36, 40)
NNUNET = NetworkDefinition(
    architecture="plain_conv_unet",
    parameters={
        "out_channels": 7,
        "features": [6, 12, 16],
        "kernels": [[3, 3, 3]] * 3,
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "blocks": [1, 1, 2],
        "decoder_blocks": [1, 1],
    },
)
BUNDLE = NetworkDefinition(
    architecture="monai_unet",
    parameters={"in_channels": 1, "out_channels": 7, "channels": [6, 12, 16], "strides": [2, 2]},
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sided:
    """A CT (HU, axes of the patient) with a label map: 0, or 1 + the organ's place in ``ORGANS``."""

    volume: Volume
    labels: NDArray[np.uint8]
    centres_lps: dict[str, tuple[float, float, float]]


def sided(
    spacing_zyx: tuple[float, float, float],
    shape_zyx: tuple[int, int, int],
    seed: int = 0,
    jitter: float = 0.0,
    lopsided: float = 0.0,
) -> Sided:
    """Make the body in the middle of a grid; ``jitter`` is how much its size and place vary.

    ``lopsided`` makes the spheres of the patient's left larger, by this share, and those of the right smaller.
    """
    rng = np.random.default_rng(seed)
    half = np.array(HALF_AXES_MM) * (1 + jitter * rng.uniform(-0.12, 0.12, 3))
    offset = jitter * rng.uniform(-6, 6, 3)
    extent = np.multiply(spacing_zyx, np.subtract(shape_zyx, 1))
    x0, y0, z0 = (float(value) for value in -extent[::-1] / 2)
    axes = [
        start + step * np.arange(n)
        for start, step, n in zip((z0, y0, x0), spacing_zyx, shape_zyx, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    points = np.stack([x, y, z]) - offset[:, None, None, None]
    inside = ((points / half[:, None, None, None]) ** 2).sum(0) < 1
    hu = np.where(inside, BODY_HU, AIR_HU) + rng.normal(0, 20, shape_zyx)
    labels = np.zeros(shape_zyx, np.uint8)
    centres = {}
    for number, (code, share) in enumerate(ORGANS.values(), start=1):
        centre = np.array(share) * half
        ball = ((points - centre[:, None, None, None]) ** 2).sum(0) < (
            RADIUS_MM * (1 + jitter * rng.uniform(-0.15, 0.15)) * (1 + lopsided * np.sign(share[0]))
        ) ** 2
        hu[ball] += SPHERE_HU - BODY_HU
        labels[ball] = number
        centres[code] = tuple(float(v) for v in centre + offset)
    grid = Grid(
        shape_zyx=shape_zyx,
        origin_lps=(x0, y0, z0),
        spacing_zyx_mm=spacing_zyx,
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    volume = Volume(array_zyx=np.rint(hu).astype(np.int16), grid=grid)
    return Sided(volume=volume, labels=labels, centres_lps=centres)  # type: ignore[arg-type]


def make_nnunet(root: Path) -> Path:
    """Write the nnU-Net as its trainer leaves it, for images that nibabel reads: RAS."""
    return make_trained(
        root,
        labels={"background": 0, **{name: n for n, name in enumerate(ORGANS, start=1)}},
        mirror=None,
        reader="NibabelIOWithReorient",
        spacing=list(NNUNET_SPACING),
        patch=list(NNUNET_SHAPE),
        trained=(NNUNET, load_file(WEIGHTS / "nnunet.safetensors")),
    )


def make_bundle(root: Path) -> Path:
    """Write the MONAI bundle, whose images run along RAS."""
    on = {"keys": "image"}
    transforms: list[dict[str, Any]] = [
        {"_target_": "LoadImaged", **on},
        {"_target_": "EnsureChannelFirstd", **on},
        {"_target_": "Orientationd", "axcodes": "RAS", **on},
        {"_target_": "Spacingd", "pixdim": list(BUNDLE_SPACING), "mode": "bilinear", **on},
        {
            "_target_": "ScaleIntensityRanged",
            "a_min": LOW,
            "a_max": HIGH,
            "b_min": -4,
            "b_max": 3,
            "clip": True,
            **on,
        },
    ]
    back = {"transform": "@preprocessing", "orig_keys": "image", "nearest_interp": False}
    after = [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        {"_target_": "Invertd", "keys": "pred", **back},
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
    ]
    numbers = BUNDLE.parameters
    inference = {
        "network_def": {"_target_": "UNet", "spatial_dims": 3, **numbers},
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": transforms},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(BUNDLE_SHAPE[::-1]),
            "overlap": 0.25,
        },
        "postprocessing": {"_target_": "Compose", "transforms": after},
    }
    names = {"0": "background", **{str(n): name for n, name in enumerate(ORGANS, start=1)}}
    outputs = {"pred": {"num_channels": 7, "channel_def": names}}
    inputs = {"image": {"modality": "CT", "num_channels": 1}}
    metadata = {"version": "1.0", "network_data_format": {"inputs": inputs, "outputs": outputs}}
    folder = root / "sided_bundle"
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "inference.json").write_text(json.dumps(inference))
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    torch.save(load_file(WEIGHTS / "bundle.safetensors"), folder / "models" / "model.pt")
    return folder


def _for_nnunet(seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    case = sided(NNUNET_SPACING, NNUNET_SHAPE, seed, 1.0)
    image = (np.clip(case.volume.array_zyx, LOW, HIGH) - MEAN) / SD
    return image[:, ::-1, ::-1], case.labels[:, ::-1, ::-1]


def _for_bundle(seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    case = sided(BUNDLE_SPACING, BUNDLE_SHAPE, seed, 1.0)
    image = (np.clip(case.volume.array_zyx, LOW, HIGH) - LOW) / (HIGH - LOW) * 7 - 4
    return image.T[::-1, ::-1], case.labels.T[::-1, ::-1]


def _batches(draw: Any, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for step in range(steps):
        pairs = [draw(2 * step + k) for k in range(2)]
        image = np.stack([image[None] for image, _ in pairs]).astype(np.float32)
        labels = np.stack([labels for _, labels in pairs]).astype(np.int64)
        yield torch.from_numpy(image), torch.from_numpy(labels)


def train(definition: NetworkDefinition, draw: Any, file: Path, steps: int) -> None:
    """Train on drawn phantoms until the steps are over, and write the weights."""
    torch.manual_seed(1)
    network = build_network(definition).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 8e-3, steps)
    weight = torch.tensor([0.2] + [1.0] * len(ORGANS))
    for image, labels in _batches(draw, steps):
        logits = network(image)
        loss = functional.cross_entropy(logits, labels, weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, file)


if __name__ == "__main__":
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    train(NNUNET, _for_nnunet, WEIGHTS / "nnunet.safetensors", 300)
    train(BUNDLE, _for_bundle, WEIGHTS / "bundle.safetensors", 400)
