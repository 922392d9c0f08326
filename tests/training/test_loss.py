import torch

from training.loss import masked_bce_dice


def test_a_structure_that_nobody_drew_has_no_say() -> None:
    logits = torch.zeros(1, 2, 2, 2, 2)
    labels = torch.zeros(1, 2, 2, 2, 2)
    labels[0, 0, 0, 0, 0] = 1
    drawn = torch.tensor([[True, False]])
    weights = torch.ones(2)
    told = masked_bce_dice(logits, labels, drawn, weights)

    logits[0, 1] = 50.0  # wildly wrong, but who knows
    assert masked_bce_dice(logits, labels, drawn, weights) == told


def test_a_perfect_answer_costs_next_to_nothing_and_a_wrong_one_much() -> None:
    labels = torch.zeros(1, 1, 4, 4, 4)
    labels[0, 0, :2] = 1
    drawn, weights = torch.tensor([[True]]), torch.ones(1)
    right = masked_bce_dice((labels - 0.5) * 60, labels, drawn, weights)
    wrong = masked_bce_dice((0.5 - labels) * 60, labels, drawn, weights)
    assert right < 1e-4
    assert wrong > 10


def test_weights_make_a_missed_voxel_dearer_than_a_false_one() -> None:
    labels = torch.zeros(1, 1, 2, 2, 2)
    labels[0, 0, 0, 0, 0] = 1
    logits, drawn = torch.full((1, 1, 2, 2, 2), -4.0), torch.tensor([[True]])
    light = masked_bce_dice(logits, labels, drawn, torch.tensor([1.0]))
    heavy = masked_bce_dice(logits, labels, drawn, torch.tensor([4.0]))
    assert heavy > 2 * light


def test_nothing_drawn_is_nothing_to_learn() -> None:
    zeros = torch.zeros(1, 1, 2, 2, 2)
    assert masked_bce_dice(zeros, zeros, torch.tensor([[False]]), torch.ones(1)) == 0
