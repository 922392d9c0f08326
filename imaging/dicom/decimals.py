"""Long runs of decimal text (VR DS) to numbers, without a function call per number."""

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

_BACKSLASH, _DOT, _MINUS = b"\\.-"
_EXACT_DIGITS = 15  # more may not fit into the 53 bits of a double, and a power of ten up to 22 does
_POWERS_OF_TEN = 10.0 ** np.arange(23)
_OF_NUMBERS = b"0123456789+-.eE\\ \0"
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def decimal_numbers(text: bytes) -> NDArray[np.float64]:
    """Return the backslash-separated numbers in `text`, each as `float` would read it; an empty array for empty text.

    Raises ValueError where a part is not a decimal number.
    """
    if not text:
        return np.empty(0)
    plain = _plain_numbers(text)
    return plain if plain is not None else _any_numbers(text)


def _plain_numbers(text: bytes) -> NDArray[np.float64] | None:
    """Return numbers like -12.345 by whole-array arithmetic; None where any part has another form.

    A number is its digits read as a whole number, over a power of ten, both exact in a double: one rounding, as
    in `float`.
    """
    letters = np.frombuffer(text, np.uint8)
    marks = np.append(np.flatnonzero((letters == _DOT) | (letters == _BACKSLASH)), len(text))
    is_end = np.append(letters[marks[:-1]] == _BACKSLASH, True)
    end = np.flatnonzero(is_end)
    ends, dotted = marks[end], ~is_end[end - 1]  # before the first mark stands the last one: no dot
    starts = np.append(0, ends[:-1] + 1)
    negative = letters[np.minimum(starts, len(text) - 1)] == _MINUS
    counts = ends - starts - negative - dotted
    digits = text.translate(None, b"\\.-")
    if len(marks) - len(ends) != np.count_nonzero(dotted) or text.count(b"-") != np.count_nonzero(negative):
        return None
    if not digits.isdigit() or counts.min() < 1 or counts.max() > _EXACT_DIGITS:
        return None
    values = _whole_numbers(digits, counts)
    values /= _POWERS_OF_TEN[np.where(dotted, ends - marks[end - 1] - 1, 0)]
    return np.negative(values, out=values, where=negative)


def _whole_numbers(digits: bytes, counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the numbers of 1 to 16 digits each that are concatenated in `digits`."""
    padded = b"0" * 16 + digits
    eights = as_strided(np.frombuffer(padded, "<u8", count=1), shape=(len(padded) - 7,), strides=(1,))
    last_eight = np.cumsum(counts) + 8
    values = _of_eight(eights[last_eight], np.minimum(counts, 8)).astype(np.float64)
    longer = np.flatnonzero(counts > 8)
    values[longer] += 1e8 * _of_eight(eights[last_eight[longer] - 8], counts[longer] - 8)
    return values


def _of_eight(words: NDArray[np.uint64], counts: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Return the number in the last `counts` of the eight digits in each word, two, four and eight digits at a time."""
    words = words & (_ALL << (64 - 8 * counts).astype(np.uint64))
    for mask, factor, shift in (
        (0x0F0F0F0F0F0F0F0F, 10 << 8 | 1, 8),
        (0x00FF00FF00FF00FF, 100 << 16 | 1, 16),
        (0x0000FFFF0000FFFF, 10000 << 32 | 1, 32),
    ):
        words &= np.uint64(mask)
        words *= np.uint64(factor)
        words >>= np.uint64(shift)
    return words


def _any_numbers(text: bytes) -> NDArray[np.float64]:
    """Return the numbers in any decimal notation, one at a time."""
    if text.translate(None, delete=_OF_NUMBERS):
        raise ValueError("a character that no decimal number has")
    return np.array([float(part.strip(b" \0")) for part in text.split(b"\\")])
