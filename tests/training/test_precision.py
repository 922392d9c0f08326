"""bfloat16 in training: gradients of 3-D convolutions on maps that are smaller than the kernel."""

import pytest
import torch
from torch import nn

from training.precision import Precision, keep_small_maps_in_float32

BF16 = Precision(bf16=True, reason="a test")


def weight_gradient(convolution: nn.Conv3d, features: torch.Tensor, precision: Precision) -> torch.Tensor:
    with precision.autocast(torch.device("cpu")):
        found = convolution(features)
    convolution.zero_grad()
    (found.to(torch.float32) ** 2).sum().backward()  # type: ignore[no-untyped-call] # torch leaves it without types
    assert convolution.weight.grad is not None
    return convolution.weight.grad.clone()


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_gradients_agree_with_float32_on_maps_of_any_size(side: int) -> None:
    torch.manual_seed(side)
    convolution = nn.Conv3d(16, 24, 3, padding=1)
    features = torch.randn(1, 16, side, 4, 4)
    exact = weight_gradient(convolution, features, Precision())
    keep_small_maps_in_float32(nn.Sequential(convolution))
    found = weight_gradient(convolution, features, BF16)
    assert float((found - exact).norm() / exact.norm()) < 0.02


def test_only_small_maps_leave_bfloat16() -> None:
    convolution = nn.Conv3d(2, 2, 3, padding=1)
    keep_small_maps_in_float32(convolution)
    with BF16.autocast(torch.device("cpu")):
        assert convolution(torch.zeros(1, 2, 3, 3, 3)).dtype is torch.bfloat16
        assert convolution(torch.zeros(1, 2, 2, 3, 3)).dtype is torch.float32
    assert convolution(torch.zeros(1, 2, 2, 3, 3)).dtype is torch.float32
    assert set(convolution.state_dict()) == {"weight", "bias"}
