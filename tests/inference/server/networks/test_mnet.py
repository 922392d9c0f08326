"""Mnet_Im, M-Net and the variants of the cervical CTV study: counts, branches, scales and fusion."""

import pytest
import torch
from torch.nn import functional

from inference.server.networks.mnet import MNET_VARIANTS, Mnet, MnetConfig
from tests.support.networks import meta_shapes, parameters


@pytest.mark.parametrize(
    ("variant", "count"),
    [
        ("mnet", 8_555_876),
        ("mnet_64", 8_028_004),
        ("mnet_32", 7_894_564),
        ("mnet_im", 8_326_373),
        ("wide_mnet", 34_171_588),
    ],
)
def test_parameters_for_five_slices_and_one_structure(variant: str, count: int) -> None:
    assert parameters(lambda: Mnet(MNET_VARIANTS[variant])) == count


def test_mnet_as_first_published_for_colour_and_two_structures() -> None:
    config = MnetConfig(in_channels=3, out_channels=2, side_inputs=(64, 128, 256), ending="mean")
    assert parameters(lambda: Mnet(config)) == 8_547_720


def test_the_extra_branch_at_a_sixteenth_is_all_that_mnet_im_adds_to_mnet_64() -> None:
    side_input, wider_block, output = 5 * 9 * 64 + 64, 64 * 9 * 512, 512 + 1
    assert side_input + wider_block + output == 8_326_373 - 8_028_004


def test_unet_mo_is_mnet_im_without_side_inputs() -> None:
    seen = parameters(lambda: Mnet(MNET_VARIANTS["mnet_im"])) - parameters(
        lambda: Mnet(MNET_VARIANTS["unet_mo"])
    )
    assert seen == 4 * (5 * 9 * 64 + 64) + 64 * 9 * (64 + 128 + 256 + 512)


def test_mnet_im_answers_at_five_scales_in_training() -> None:
    shapes = meta_shapes(lambda: Mnet(MnetConfig(out_channels=2)), (1, 5, 64, 96), training=True)
    assert shapes == [(1, 2, 64, 96), (1, 2, 32, 48), (1, 2, 16, 24), (1, 2, 8, 12), (1, 2, 4, 6)]
    assert meta_shapes(lambda: Mnet(MnetConfig(out_channels=2)), (1, 5, 64, 96)) == [(1, 2, 64, 96)]


def test_fusion_is_progressive_each_scale_added_to_the_doubled_coarser_one() -> None:
    network = Mnet(MnetConfig(channels=(2, 2, 2), side_inputs=(2, 2)))
    fine, middle, coarse = torch.randn(1, 1, 8, 8), torch.randn(1, 1, 4, 4), torch.randn(1, 1, 2, 2)
    fused = network._fused([fine, middle, coarse])
    assert torch.equal(fused[2], coarse)
    expected = middle + functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(fused[1], expected)
    expected = fine + functional.interpolate(expected, scale_factor=2, mode="bilinear", align_corners=False)
    assert torch.allclose(fused[0], expected)


def test_mnet_averages_the_probabilities_of_its_scales() -> None:
    network = Mnet(MnetConfig(channels=(2, 2, 2), side_inputs=(2,), ending="mean"))
    outputs = [torch.full((1, 1, 4, 4), 0.0), torch.full((1, 1, 2, 2), float(torch.logit(torch.tensor(0.9))))]
    first, *scales = network._averaged(outputs)
    assert torch.allclose(torch.sigmoid(first), torch.tensor(0.7))
    assert [s.shape for s in scales] == [(1, 1, 4, 4)] * 2


def test_a_scale_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="side inputs"):
        MnetConfig(channels=(4, 8), side_inputs=(4, 4))
    with pytest.raises(ValueError, match="median"):
        MnetConfig(ending="median")  # type: ignore[arg-type]


def test_side_inputs_see_the_slices_averaged_down() -> None:
    network = Mnet(MnetConfig(in_channels=1, channels=(2, 2, 2), side_inputs=(2, 2))).eval()
    seen: list[torch.Tensor] = []
    for side in network.side_inputs:
        side.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    slices = torch.arange(64.0).reshape(1, 1, 8, 8)
    network(slices)
    assert torch.equal(seen[0], functional.avg_pool2d(slices, 2))
    assert torch.equal(seen[1], functional.avg_pool2d(slices, 4))
