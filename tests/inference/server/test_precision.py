"""bfloat16 is taken where it is measured to be faster, and changes next to nothing; float32 gives what it always gave.

hn_oar_golden.npz holds a phantom's HU (76 x 84 x 84, 2.75 x 2.9 x 2.9 mm) and the bit planes and probabilities that the
model's first served code gave for it in float32, before pipelines and precision could be chosen.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from inference.contract import ModelContract, NetworkDefinition, load_contract
from inference.contract.nnunet import NnunetPart
from inference.server import precision
from inference.server.networks.catalogue import build_network
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.precision import AutocastNetwork, MeasuredType, faster_dtype, rounded_to_bfloat16
from inference.server.predictor import StructurePlanes
from inference.server.runtimes.native import load_network
from inference.server.runtimes.nnunet import corner_voxels
from tests.support.triton import HN_OAR

CPU = torch.device("cpu")
GOLDEN = Path(__file__).with_name("hn_oar_golden.npz")
needs_bfloat16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no bfloat16"
)


def contoured(precision_name: str, dtype: torch.dtype | None = None) -> StructurePlanes:
    document = load_contract(HN_OAR / "1").model_dump(mode="json")
    document["runtime"]["precision"] = precision_name
    contract = ModelContract.model_validate(document)
    definition = contract.native.networks["network"]
    network = load_network(definition, HN_OAR / "1", contract.checksums[definition.weights])
    pipeline = build_pipeline(contract, {"network": network}, CPU)
    if dtype is not None:
        for module in _autocast_of(pipeline):
            module.measured.dtype = dtype
    with np.load(GOLDEN) as golden, torch.inference_mode():
        return pipeline.predict(golden["hu"], (2.75, 2.9, 2.9))


def _autocast_of(pipeline: object) -> list[AutocastNetwork]:
    found = [cell.cell_contents for cell in pipeline.answer_tiles.__closure__]  # type: ignore[attr-defined]
    inner = [
        cell.cell_contents for f in found if callable(f) for cell in getattr(f, "__closure__", None) or ()
    ]
    return [module for module in (*found, *inner) if isinstance(module, AutocastNetwork)]


def counts(planes: NDArray[np.uint8]) -> list[int]:
    return [int((planes[0] >> bit & 1).sum()) for bit in range(7)]


def flips(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> list[int]:
    return counts(a ^ b)


def test_float32_gives_what_it_gave_before() -> None:
    found = contoured("float32")
    with np.load(GOLDEN) as golden:
        assert min(counts(golden["planes"])) > 40
        assert max(flips(found.planes, golden["planes"])) <= 2  # another processor may round otherwise
        assert found.mean_probability == pytest.approx(golden["mean_probability"], abs=1e-4)


@needs_bfloat16
def test_bfloat16_flips_few_voxels_of_a_structure() -> None:
    found = contoured("bfloat16", torch.bfloat16)
    with np.load(GOLDEN) as golden:
        for changed, size in zip(
            flips(found.planes, golden["planes"]), counts(golden["planes"]), strict=True
        ):
            assert 2 * changed <= max(4, 0.02 * size), (changed, size)
        assert sum(flips(found.planes, golden["planes"])) > 0, "float32 was measured, not bfloat16"
        assert found.mean_probability == pytest.approx(golden["mean_probability"], abs=5e-3)


@needs_bfloat16
@pytest.mark.parametrize(
    ("cost_s", "expected"),
    [
        ({torch.float32: 0.05, torch.bfloat16: 0.01}, torch.bfloat16),
        ({torch.float32: 0.01, torch.bfloat16: 0.05}, torch.float32),
        ({torch.float32: 0.05, torch.bfloat16: 0.05}, torch.float32),
    ],
)
def test_the_faster_type_is_measured(cost_s: dict[torch.dtype, float], expected: torch.dtype) -> None:
    def busy(dtype: torch.dtype) -> None:
        until = time.process_time() + cost_s[dtype]
        while time.process_time() < until:
            pass

    assert faster_dtype(busy, CPU) is expected


def test_the_type_is_chosen_once_and_the_answer_is_float32() -> None:
    asked = []

    class Echo(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            asked.append(torch.is_autocast_enabled("cpu"))
            return image.to(torch.bfloat16)

    network = AutocastNetwork(Echo())
    assert network(torch.ones(2)).dtype is torch.float32
    first = len(asked)
    network(torch.ones(2))
    assert len(asked) == first + 1
    assert first in (1, 2 * precision._ROUNDS + 1)


def test_networks_of_a_model_share_one_measurement_on_a_corner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full-size nnU-Net is not to pay for whole tiles, five folds not for five measurements."""
    shapes: list[tuple[int, ...]] = []

    class Seen(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(image.shape))
            return image

    def both(answer: Callable[[torch.dtype], object], _: torch.device) -> torch.dtype:
        answer(torch.float32)
        return torch.float32

    monkeypatch.setattr(precision, "faster_dtype", both)
    measured = MeasuredType((4, 2, 6))
    folds = [AutocastNetwork(Seen(), measured) for _ in range(2)]
    for fold in folds:
        fold(torch.ones(1, 1, 8, 8, 8))
    assert shapes == [(1, 1, 4, 2, 6), (1, 1, 8, 8, 8), (1, 1, 8, 8, 8)]


@pytest.mark.parametrize(
    ("patch", "strides", "corner"),
    [
        ((128, 128, 128), [[1, 1, 1], *[[2, 2, 2]] * 5], (64, 64, 64)),
        ((160, 96, 224), [[1, 1, 1], *[[2, 2, 2]] * 5], (64, 64, 96)),
        ((28, 256, 224), [[1, 1, 1], [1, 2, 2], *[[2, 2, 2]] * 2, *[[1, 2, 2]] * 2], (12, 128, 96)),
        ((16, 32, 32), [[1, 1, 1], *[[2, 2, 2]] * 4], (16, 32, 32)),
        ((512, 448), [[1, 1], *[[2, 2]] * 6], (256, 192)),
    ],
)
def test_types_are_measured_on_half_a_patch_that_the_strides_divide(
    patch: tuple[int, ...], strides: list[list[int]], corner: tuple[int, ...]
) -> None:
    stages = len(strides)
    parameters = {
        "features": [4] * stages,
        "kernels": [[3] * len(patch)] * stages,
        "strides": strides,
        "blocks": [1] * stages,
        "decoder_blocks": [1] * (stages - 1),
    }
    part = NnunetPart.model_construct(parameters=parameters, patch=patch)  # type: ignore[arg-type]
    assert corner_voxels(part) == corner
    network = build_network(
        NetworkDefinition(architecture="plain_conv_unet", parameters=parameters, weights="w.safetensors")
    )  # type: ignore[arg-type]
    with torch.inference_mode():
        assert network.eval()(torch.zeros(1, 1, *corner)).shape[2:] == corner


def test_rounding_shows_what_bfloat16_changes_on_any_processor() -> None:
    """Beside autocast, which this processor may only emulate: small maps cost little."""
    torch.manual_seed(3)
    definition = NetworkDefinition(
        architecture="plain_conv_unet",
        parameters={"out_channels": 3, "features": [4, 8], "kernels": [[3, 3, 3]] * 2},
        weights="w.safetensors",
    )
    network = build_network(definition).eval()
    image = torch.randn(1, 1, 12, 16, 16)
    with torch.inference_mode():
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            reduced = network(image).float()
        rounded = rounded_to_bfloat16(network)(image)
    of_bfloat16, of_rounding = (reduced - exact).std(), (rounded - exact).std()
    assert (rounded - reduced).std() < 1.2 * of_bfloat16, "two roundings of one network"
    assert 0.5 * of_bfloat16 < of_rounding < 2 * of_bfloat16
    assert of_rounding > 1e-4
