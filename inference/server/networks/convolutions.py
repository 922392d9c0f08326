"""Layers that several networks share: convolutions with norm and activation, and blocks of them."""

import torch
from torch import nn
from torch.nn import functional


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return a size-preserving 2-D convolution without bias, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def conv_relu(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    """Return a size-preserving 2-D convolution with bias, and ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True))


def two_convolutions(inputs: int, outputs: int, *, batch_norm: bool) -> nn.Sequential:
    """Return the block of a U-Net: two 3x3 convolutions, each with ReLU, with batch norm if asked for."""
    convolution = conv_bn_relu if batch_norm else conv_relu
    return nn.Sequential(convolution(inputs, outputs), convolution(outputs, outputs))


def resized(features: torch.Tensor, size_yx: tuple[int, int]) -> torch.Tensor:
    """Return features (batch, channel, y, x) interpolated bilinearly to ``size_yx``, pixel areas kept in place."""
    if tuple(features.shape[-2:]) == size_yx:
        return features
    return functional.interpolate(features, size=size_yx, mode="bilinear", align_corners=False)


def rise(inputs: int, outputs: int) -> nn.Sequential:
    """Return bilinear up-sampling to twice the size, and a 3x3 convolution with batch norm and ReLU."""
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return nn.Sequential(up, conv_bn_relu(inputs, outputs))


def doubled(features: torch.Tensor) -> torch.Tensor:
    """Return features (batch, channel, y, x) at twice the size, bilinearly."""
    return resized(features, (2 * features.shape[-2], 2 * features.shape[-1]))
