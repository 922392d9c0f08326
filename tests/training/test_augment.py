import numpy as np

from training.augment import Augmentation, draw_patch
from training.cases import Case

HOW = Augmentation(patch_zyx=(16, 16, 24), mirrored_pairs=((0, 1),), structure_weights=(1.0, 1.0, 1.0))


def lopsided() -> Case:
    """A body with structure 0 in its left half (large x), 1 in its right, and 2 that nobody drew."""
    hu = np.full((20, 24, 32), -1000, np.int16)
    hu[2:-2, 4:-4, 4:-4] = 40
    bits = np.zeros(hu.shape, np.uint8)
    bits[6:14, 8:16, 20:26] |= 1
    bits[6:14, 8:16, 6:12] |= 2
    hu[bits == 1] = 300
    return Case(
        name="lopsided",
        hu_zyx=hu,
        bits_zyx=bits,
        drawn=np.array([True, True, False]),
        spacing_zyx_mm=(2.5, 4.0, 4.0),
    )


def test_a_mirrored_patch_swaps_left_and_right_names_with_the_picture() -> None:
    rng = np.random.default_rng(1)
    checked = 0
    for _ in range(60):
        patch = draw_patch(lopsided(), HOW, rng)
        left, right = (patch.labels[i].sum(dim=(0, 1)) for i in (0, 1))
        if left.sum() > 20 and right.sum() > 20:
            x = np.arange(HOW.patch_zyx[2])
            assert (left.numpy() * x).sum() / left.sum() > (right.numpy() * x).sum() / right.sum()
            checked += 1
    assert checked > 10


def test_every_patch_has_the_size_asked_for_and_keeps_what_nobody_drew() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        patch = draw_patch(lopsided(), HOW, rng)
        assert tuple(patch.hu.shape) == HOW.patch_zyx
        assert tuple(patch.labels.shape) == (3, *HOW.patch_zyx)
        assert patch.drawn.tolist() == [True, True, False]


def test_the_same_seed_draws_the_same_patches() -> None:
    first, second = (draw_patch(lopsided(), HOW, np.random.default_rng(7)) for _ in range(2))
    assert (first.hu == second.hu).all()
    assert (first.labels == second.labels).all()
