"""UaNet: boxes worked out by hand, its anchors, its parts, and the masks inside boxes."""

import math

import pytest
import torch

from inference.server.networks.uanet import NOTHING_LOGIT, Uanet, UanetConfig
from inference.server.networks.uanet_boxes import (
    anchor_boxes,
    decoded,
    encoded,
    overlaps,
    snapped,
    suppressed,
)
from tests.support.networks import parameters

CUBE = torch.tensor([[10.0, 10.0, 10.0, 4.0, 4.0, 4.0]])


def test_twelve_anchors_of_the_published_sizes() -> None:
    sizes = UanetConfig().anchor_sizes_zyx
    assert sizes.shape == (12, 3)
    assert sizes[0].tolist() == [7, 17.5, 17.5]
    assert sizes[5].tolist() == [15, 75, 37.5]
    assert sizes[10].tolist() == [50, 125, 250]


def test_anchors_lie_over_the_voxels_of_their_feature() -> None:
    boxes = anchor_boxes((1, 2, 1), 8, torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    assert boxes.tolist() == [
        [3.5, 3.5, 3.5, 1, 2, 3], [3.5, 3.5, 3.5, 4, 5, 6], [3.5, 11.5, 3.5, 1, 2, 3], [3.5, 11.5, 3.5, 4, 5, 6]
    ]  # fmt: skip


def test_overlap_of_boxes_by_hand() -> None:
    others = torch.tensor([[10.0, 10, 12, 4, 4, 4], [10, 10, 14, 4, 4, 4], [10, 10, 10, 4, 4, 8]])
    assert overlaps(CUBE, others)[0].tolist() == pytest.approx([32 / 96, 0, 64 / 128])


def test_regression_takes_an_anchor_to_its_box_and_back() -> None:
    box = torch.tensor([[12.0, 9.0, 10.0, 8.0, 4.0, 2.0]])
    deltas = encoded(box, CUBE)
    assert deltas[0].tolist() == pytest.approx([5, -2.5, 0, 5 * math.log(2), 0, -5 * math.log(2)])
    assert torch.allclose(decoded(deltas, CUBE), box)


def test_suppression_keeps_the_best_of_boxes_that_overlap() -> None:
    boxes = torch.tensor([[10.0, 10, 10, 4, 4, 4], [10, 10, 10.5, 4, 4, 4], [30, 10, 10, 4, 4, 4]])
    kept = suppressed(boxes, torch.tensor([0.6, 0.9, 0.7]), overlap=0.5, at_most=9)
    assert kept.tolist() == [1, 2]
    assert suppressed(boxes, torch.tensor([0.6, 0.9, 0.7]), overlap=0.5, at_most=1).tolist() == [1]
    assert suppressed(boxes[:0], torch.zeros(0), overlap=0.5, at_most=9).tolist() == []


def test_corners_move_out_to_multiples_of_eight_inside_the_volume() -> None:
    assert snapped(torch.tensor([12.0, 20.0, 60.0, 10.0, 4.0, 20.0]), (32, 32, 64), multiple=8) == (
        (0, 16, 48),
        (24, 24, 64),
    )
    assert snapped(torch.tensor([500.0, -90.0, 4.0, 1.0, 1.0, 1.0]), (32, 32, 64), multiple=8) == (
        (24, 0, 0),
        (32, 8, 8),
    )


def linear(a: int, b: int) -> int:
    return a * b + b


def test_parameters_of_the_parts_for_28_structures() -> None:
    """As published for 28 structures: 27,648 pooled numbers to 512, 256, and 29 classes of a logit and six deltas."""
    with torch.device("meta"):
        network = Uanet(UanetConfig(out_channels=28))
    heads = (network.classify, network.class_logits, network.class_deltas)
    found = sum(p.numel() for part in heads for p in part.parameters())
    assert found == linear(128 * 216, 512) + linear(512, 256) + linear(256, 29) + linear(256, 6 * 29)
    proposing = (network.propose, network.propose_logits, network.propose_deltas)
    found = sum(p.numel() for part in proposing for p in part.parameters())
    assert found == linear(128, 64) + linear(64, 12) + linear(64, 72)
    joins = [join[0].in_channels for join in network.mask.joins]
    assert joins == [128, 96, 65]
    assert len(network.mask.heads) == 28


def test_features_at_a_half_a_quarter_and_an_eighth() -> None:
    with torch.device("meta"):
        found = Uanet(UanetConfig()).features(torch.zeros(1, 1, 32, 64, 48))
    assert found.half.shape == (1, 32, 16, 32, 24)
    assert found.quarter.shape == (1, 64, 8, 16, 12)
    assert found.eighth.shape == (1, 128, 4, 8, 6)


def test_a_mask_lies_inside_its_box_and_nowhere_else() -> None:
    torch.manual_seed(3)
    config = UanetConfig(out_channels=2, width=1, hidden=(8, 8))
    network = Uanet(config).eval()
    ct = torch.randn(1, 1, 32, 32, 32)
    box = torch.tensor([12.0, 12.0, 20.0, 8.0, 8.0, 8.0])
    network.detections = lambda *_: {1: box}  # type: ignore[method-assign]
    with torch.no_grad():
        logits = network(ct)
        inside = network.mask(network.features(ct), ((8, 8, 16), (16, 16, 24)), 1)
    assert logits.shape == (1, 2, 32, 32, 32)
    assert torch.equal(logits[0, 1, 8:16, 8:16, 16:24], inside)
    logits[0, 1, 8:16, 8:16, 16:24] = NOTHING_LOGIT
    assert bool((logits == NOTHING_LOGIT).all())


def test_nothing_proposed_is_nothing_found() -> None:
    network = Uanet(UanetConfig(out_channels=2, width=1, hidden=(8, 8))).eval()
    torch.nn.init.constant_(network.propose_logits.bias, -50.0)
    with torch.no_grad():
        assert bool((network(torch.randn(1, 1, 16, 16, 16)) == NOTHING_LOGIT).all())


def test_the_likeliest_box_of_a_class_is_taken() -> None:
    torch.manual_seed(4)
    network = Uanet(UanetConfig(out_channels=1, width=1, hidden=(4, 4))).eval()
    for part in (network.propose_logits, network.propose_deltas, network.class_deltas, network.class_logits):
        torch.nn.init.zeros_(part.weight)
        torch.nn.init.zeros_(part.bias)
    torch.nn.init.constant_(network.propose_logits.bias, 5.0)
    network.class_logits.bias.data = torch.tensor([0.0, 9.0])
    with torch.no_grad():
        found = network.detections(network.features(torch.randn(1, 1, 16, 16, 16)), 0)
    assert list(found) == [0]
    sizes = network.config.anchor_sizes_zyx.tolist()
    assert found[0][3:].tolist() in sizes


def residual(a: int, b: int) -> int:
    norms = 2 * 2 * b
    return conv(27, a, b) + conv(27, b, b) + norms + (conv(1, a, b) + 2 * b if a != b else 0)


def conv(kernel: int, a: int, b: int) -> int:
    return kernel * a * b + b


def test_parameters_of_the_feature_path() -> None:
    stem = conv(27, 1, 24) + conv(27, 24, 24) + 4 * 24
    blocks = residual(24, 32) + residual(32, 32) + residual(32, 64) + 7 * residual(64, 64)
    back = conv(8, 64, 64) + 2 * 64 + 3 * residual(128, 128)
    assert parameters(lambda: Uanet(UanetConfig()).features) == stem + blocks + back
