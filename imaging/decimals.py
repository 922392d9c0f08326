"""Long runs of decimal text (VR DS) to numbers, without a call for each."""

import numpy as np
from numpy.typing import NDArray

_BACKSLASH, _DOT, _MINUS, _ZERO = b"\\.-0"
_EXACT_DIGITS = 15  # more may not fit into the 53 bits of a double, and a power of ten up to 22 does
_POWERS_OF_TEN = 10.0 ** np.arange(23)
_OF_NUMBERS = b"0123456789+-.eE\\ \0"


def decimal_numbers(text: bytes) -> NDArray[np.float64]:
    """The backslash-separated numbers in `text`, each as `float` would read it; none for no text.

    Raises ValueError where a part is no decimal number.
    """
    if not text:
        return np.empty(0)
    plain = _plain_numbers(np.frombuffer(text, np.uint8))
    return plain if plain is not None else _any_numbers(text)


def _plain_numbers(text: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Numbers like -12.345 by whole-array arithmetic; None where a part looks in any way different.

    A number is its digits read as a whole number, exact in a double, over a power of ten, exact too: one rounding, as
    in `float`.
    """
    ends = np.append(np.flatnonzero(text == _BACKSLASH), len(text))
    starts = np.append(0, ends[:-1] + 1)
    dots = np.flatnonzero(text == _DOT)
    owners = np.searchsorted(ends, dots)
    digits = text - np.uint8(_ZERO)
    is_digit = digits < 10
    negative = text[np.minimum(starts, len(text) - 1)] == _MINUS
    counts = ends - starts - negative
    np.subtract.at(counts, owners, 1)
    wholly_known = np.count_nonzero(is_digit) == counts.sum() and np.all(np.diff(owners) > 0)
    if not wholly_known or counts.min() < 1 or counts.max() > _EXACT_DIGITS:
        return None
    decimals = np.zeros(len(ends), np.intp)
    decimals[owners] = ends[owners] - dots - 1
    behind = np.cumsum(counts)
    weight = np.repeat(behind, counts) - np.arange(1, behind[-1] + 1)
    values = np.add.reduceat(digits[is_digit] * _POWERS_OF_TEN[weight], behind - counts)
    values /= _POWERS_OF_TEN[decimals]
    return np.asarray(np.where(negative, -values, values))


def _any_numbers(text: bytes) -> NDArray[np.float64]:
    """The same for every decimal notation, one number at a time."""
    if text.translate(None, delete=_OF_NUMBERS):
        raise ValueError("a character that no decimal number has")
    return np.array([float(part.strip(b" \0")) for part in text.split(b"\\")])
