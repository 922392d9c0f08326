"""The losses of UaNet: true boxes, which anchors are foreground, and that the parts learn."""

import math

import pytest
import torch

from inference.server.networks.uanet import Proposals, Uanet, UanetConfig
from training.losses.uanet import Truth, focal_loss, proposal_loss, uanet_loss


def one_block(structures: int = 2) -> torch.Tensor:
    labels = torch.zeros(structures, 32, 32, 32)
    labels[1, 10:14, 8:16, 12:20] = 1
    return labels


def test_the_true_box_has_a_border_of_eight() -> None:
    truth = Truth.of(one_block(), torch.tensor([True, True]))
    assert truth.boxes.tolist() == [[11.5, 11.5, 15.5, 12, 16, 16]]
    assert truth.structures.tolist() == [1]
    assert len(Truth.of(one_block(), torch.tensor([True, False])).boxes) == 0


def test_focal_loss_by_hand() -> None:
    """p = 0.5 everywhere: (1 - 0.5)^2 ln 2, whatever the weights."""
    found = focal_loss(torch.zeros(3), torch.tensor([1.0, 0, 0]), torch.tensor([1.0, 0.5, 0.5]))
    assert found.item() == pytest.approx(0.25 * math.log(2))


def test_the_best_anchor_of_a_box_is_foreground_however_little_they_share() -> None:
    anchors = torch.tensor([[10.0, 10, 10, 4, 4, 4], [10, 10, 10, 2, 2, 2], [40, 40, 40, 4, 4, 4]])
    truth = Truth(boxes=torch.tensor([[10.0, 10, 10, 8, 8, 8]]), structures=torch.tensor([0]))
    deltas = torch.zeros(1, 3, 6)
    loss = proposal_loss(Proposals(logits=torch.zeros(1, 3), deltas=deltas, anchors=anchors), truth)
    # anchor 0 shares 64/512 = 0.125: foreground as the best; 1 (8/512) and 2 (0) background, balanced; the sizes'
    # targets are 5 ln 2 = 3.466, smooth L1 2.966 each, over 6 numbers, times 6
    assert loss.item() == pytest.approx(0.25 * math.log(2) + 3 * (5 * math.log(2) - 0.5), rel=1e-4)


def test_all_parts_learn_one_case() -> None:
    torch.manual_seed(5)
    network = Uanet(UanetConfig(out_channels=2, width=1, hidden=(8, 8)))
    labels = one_block()[None]
    ct = labels[:, 1:] * 2 - 1 + 0.1 * torch.randn(1, 1, 32, 32, 32)
    drawn = torch.tensor([[True, True]])
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(25):
        loss = uanet_loss(network, ct, labels, drawn, boxes=True, masks=True)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert all(p.grad is not None for p in network.mask.heads[1].parameters())


def test_proposals_alone_leave_the_other_heads_untouched() -> None:
    network = Uanet(UanetConfig(out_channels=2, width=1, hidden=(8, 8)))
    uanet_loss(
        network,
        torch.randn(1, 1, 32, 32, 32),
        one_block()[None],
        torch.tensor([[True, True]]),
        boxes=False,
        masks=False,
    ).backward()
    assert network.class_logits.weight.grad is None
    assert network.propose_logits.weight.grad is not None
