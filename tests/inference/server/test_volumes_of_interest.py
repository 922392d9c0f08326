"""Volumes of interest: three times the largest extent, shifted at the edge, padded where larger."""

import torch

from inference.server.volumes_of_interest import voi_size, volume_of_interest


def test_three_times_the_largest_extent_in_voxels_up_to_the_networks_multiple() -> None:
    assert voi_size((10.0, 20.0, 30.0), (2.5, 1.0, 1.0), multiple=(1, 1, 1)) == (12, 60, 90)
    assert voi_size((10.0, 20.0, 30.0), (2.5, 1.0, 1.0), multiple=(16, 16, 16)) == (16, 64, 96)


def values(*shape: int) -> torch.Tensor:
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


def test_about_its_centre() -> None:
    place = volume_of_interest((5, 6, 7), (2, 4, 4), (10, 12, 14))
    assert place.volume == (slice(4, 6), slice(4, 8), slice(5, 9))
    assert torch.equal(place.cut(values(10, 12, 14), outside=-1), values(10, 12, 14)[4:6, 4:8, 5:9])


def test_at_an_edge_it_is_shifted_inside() -> None:
    assert volume_of_interest((0, 11, 7), (4, 4, 4), (10, 12, 14)).volume == (
        slice(0, 4),
        slice(8, 12),
        slice(5, 9),
    )


def test_larger_than_the_volume_it_is_padded_on_both_sides() -> None:
    place = volume_of_interest((1, 1, 1), (4, 3, 6), (2, 3, 3))
    cut = place.cut(values(2, 3, 3), outside=-7)
    assert cut.shape == (4, 3, 6)
    assert torch.equal(cut[place.inside], values(2, 3, 3))
    assert int((cut == -7).sum()) == 4 * 3 * 6 - 18
