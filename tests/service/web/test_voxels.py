"""Voxels on their way to the viewer, and the shelf that keeps volumes for a while."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from zstandard import ZstdDecompressor

from service.web.images import Shelf
from service.web.viewer import folded_planes


@given(arrays(np.int16, st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 9))))
def test_compressed_voxels_come_back_whatever_they_are(array: np.ndarray) -> None:
    assert np.array_equal(unfolded_planes(folded_planes(array), array.shape), array)


def test_a_shelf_keeps_the_newest_for_their_time_and_makes_each_once() -> None:
    now = [0.0]
    made: list[int] = []

    def make(number: int) -> int:
        made.append(number)
        return number

    shelf = Shelf(2, 10.0, clock=lambda: now[0])
    for number in (1, 2, 1, 3, 1):
        assert shelf.get(number, lambda number=number: make(number)) == number
    assert made == [1, 2, 3]
    now[0] = 11.0
    shelf.get(1, lambda: make(1))
    assert made == [1, 2, 3, 1]


def unfolded_planes(data: bytes, shape: tuple[int, ...]) -> NDArray[Any]:
    """The voxels of folded_planes(), as the page's script brings them back."""
    planes = np.frombuffer(ZstdDecompressor().decompress(data), np.uint8).reshape(2, -1)
    folded = planes[0].astype(np.uint16) | (planes[1].astype(np.uint16) << 8)
    steps = (folded >> 1).astype(np.int16) ^ -(folded & 1).astype(np.int16)
    voxels: NDArray[np.int16] = np.cumsum(steps.reshape(shape), axis=-1, dtype=np.int16)
    return voxels
