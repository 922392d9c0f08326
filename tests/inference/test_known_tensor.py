"""The known tensor notices every way in which an answer can differ."""

import numpy as np

from inference.self_test import checksums, difference, known_tensors


def answer() -> dict[str, np.ndarray]:
    return {
        **{name: tensor.copy() for name, tensor in known_tensors().items()},
        "checksums": checksums(known_tensors()),
    }


def test_the_same_back_is_no_difference() -> None:
    assert difference(known_tensors(), answer()) is None


def test_each_tensor_is_larger_than_a_buffer_and_never_the_same_in_two_places() -> None:
    for tensor in known_tensors().values():
        assert tensor.nbytes > 65536
        raw = tensor.reshape(-1)
        for shift in (1, 2, 4, 211, 4096, 16384):
            assert (raw[shift:] == raw[:-shift]).mean() < 0.1


def test_zeros_a_shift_another_shape_and_a_wrong_checksum_are_differences() -> None:
    zeros = answer() | {"int16": np.zeros_like(answer()["int16"])}
    assert "int16: 13" in (difference(known_tensors(), zeros) or "")
    shifted = answer() | {"uint8": np.roll(answer()["uint8"], 1)}
    assert "uint8" in (difference(known_tensors(), shifted) or "")
    flat = answer() | {"fp32": answer()["fp32"][:-1]}
    assert "came back as (40008,)" in (difference(known_tensors(), flat) or "")
    unseen = answer() | {"checksums": np.zeros(3, np.int64)}
    assert "found [0, 0, 0]" in (difference(known_tensors(), unseen) or "")
