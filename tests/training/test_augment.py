"""Patches: their size, mirrors, ends, and any number of structures."""

import numpy as np
import pytest

from tests.support.training import two_sided_case
from training.augment import Augmentation, Cutting, draw_patch

HOW = Cutting(
    patch_zyx=(16, 16, 24),
    mirror_order=(1, 0, 2),
    structure_weights=(1.0, 1.0, 1.0),
    augmentation=Augmentation(),
)


def test_a_mirrored_patch_swaps_left_and_right_names_with_the_picture() -> None:
    rng = np.random.default_rng(1)
    checked = 0
    for _ in range(60):
        patch = draw_patch(two_sided_case(), HOW, rng)
        left, right = (patch.labels[i].sum(dim=(0, 1)) for i in (0, 1))
        if left.sum() > 20 and right.sum() > 20:
            x = np.arange(HOW.patch_zyx[2])
            assert (left.numpy() * x).sum() / left.sum() > (right.numpy() * x).sum() / right.sum()
            checked += 1
    assert checked > 10


def test_every_patch_has_the_size_asked_for_and_keeps_what_nobody_drew() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        patch = draw_patch(two_sided_case(), HOW, rng)
        assert tuple(patch.hu.shape) == HOW.patch_zyx
        assert tuple(patch.labels.shape) == (3, *HOW.patch_zyx)
        assert patch.drawn.tolist() == [True, True, False]


def test_the_same_seed_draws_the_same_patches() -> None:
    first, second = (draw_patch(two_sided_case(), HOW, np.random.default_rng(7)) for _ in range(2))
    assert (first.hu == second.hu).all()
    assert (first.labels == second.labels).all()


def test_a_structure_beyond_the_eighth_is_cut_out_like_the_first() -> None:
    """Nine drawn structures and one that nobody drew: two bit planes; nothing is varied, so that labels are exact."""
    case = two_sided_case(structures=10)
    still = Augmentation(affine_share=0.0, mirror_share=0.0, anywhere_share=0.0)
    whole = (len(case.hu_zyx), 24, 32)
    how = Cutting(
        patch_zyx=whole, mirror_order=tuple(range(10)), structure_weights=(1.0,) * 10, augmentation=still
    )
    patch = draw_patch(case, how, np.random.default_rng(3))
    for index in range(10):
        assert np.array_equal(patch.labels[index].numpy() > 0.5, case.mask(index)), index
    assert patch.drawn.tolist() == [True] * 9 + [False]
    how = Cutting(patch_zyx=whole, mirror_order=(0, 1), structure_weights=(1.0, 1.0), augmentation=still)
    chosen = draw_patch(case.with_structures([8, 9]), how, np.random.default_rng(3))
    assert np.array_equal(chosen.labels[0].numpy() > 0.5, case.mask(8))


def test_patches_at_ends_are_centred_on_the_first_or_last_slice() -> None:
    """Structure 0 fills slices 6..13; the centre is off by at most a quarter patch (2 slices of 8)."""
    case = two_sided_case()
    ends = Augmentation(affine_share=0.0, mirror_share=0.0, anywhere_share=0.0, ends_share=1.0)
    how = Cutting(
        patch_zyx=(8, 8, 8), mirror_order=(0, 1, 2), structure_weights=(1.0, 0.0, 0.0), augmentation=ends
    )
    rng = np.random.default_rng(4)
    filled = [draw_patch(case, how, rng).labels[0].flatten(1).any(dim=1).numpy() for _ in range(30)]
    assert all(1 <= slices.sum() < 8 for slices in filled)  # in the middle all eight would hold it


def test_a_case_with_nothing_to_centre_on_gives_patches_all_the_same() -> None:
    case = two_sided_case(structures=2).with_structures([1])  # the second of two is the one that nobody drew
    how = Cutting(
        patch_zyx=(8, 8, 8), mirror_order=(0,), structure_weights=(1.0,), augmentation=Augmentation()
    )
    assert draw_patch(case, how, np.random.default_rng(5)).labels.shape == (1, 8, 8, 8)


def test_planes_that_are_too_few_are_refused() -> None:
    case = two_sided_case(structures=9)
    with pytest.raises(ValueError, match="9 structures, 9 lists of places, 1 planes"):
        type(case)(**{**vars(case), "planes": case.planes[:1]})
