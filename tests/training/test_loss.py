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


def test_the_loss_of_a_batch_is_the_mean_of_its_samples_losses() -> None:
    """However many structures each has drawn: what two processes average is what one process computes."""
    generator = torch.Generator().manual_seed(3)
    logits, labels = torch.randn(2, 3, 4, 4, 4, generator=generator), torch.zeros(2, 3, 4, 4, 4)
    labels[:, :, :2] = 1
    drawn, weights = torch.tensor([[True, False, False], [True, True, True]]), torch.tensor([1.0, 2.0, 1.0])
    both = masked_bce_dice(logits, labels, drawn, weights)
    apart = [masked_bce_dice(logits[i : i + 1], labels[i : i + 1], drawn[i : i + 1], weights) for i in (0, 1)]
    assert torch.isclose(both, sum(apart) / 2, rtol=1e-6)


def test_slices_are_as_good_as_volumes() -> None:
    labels = torch.zeros(1, 1, 4, 4)
    labels[0, 0, :2] = 1
    flat = masked_bce_dice(labels - 0.5, labels, torch.tensor([[True]]), torch.ones(1))
    solid = masked_bce_dice(
        labels[:, :, None] - 0.5, labels[:, :, None], torch.tensor([[True]]), torch.ones(1)
    )
    assert torch.isclose(flat, solid)
