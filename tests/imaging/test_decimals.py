import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imaging.dicom.decimals import decimal_numbers

PLAIN = st.decimals(allow_nan=False, allow_infinity=False, min_value=-99999, max_value=99999, places=5)
ANY = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.lists(PLAIN.map(lambda d: f"{d:f}"), min_size=1))
def test_plain_numbers_are_read_as_float_reads_them(texts: list[str]) -> None:
    assert decimal_numbers("\\".join(texts).encode()).tolist() == [float(text) for text in texts]


@settings(deadline=None)
@given(st.lists(st.one_of(PLAIN.map(str), ANY.map(repr)), min_size=1))
def test_any_notation_is_read_as_float_reads_it(texts: list[str]) -> None:
    assert decimal_numbers("\\".join(texts).encode()).tolist() == [float(text) for text in texts]


def test_the_ways_in_which_systems_write() -> None:
    text = b"1\\-2.5\\+3\\ 4.0 \\.5\\-.25\\7.\\1e2\\-1.5E-3\\0012\\123456789.123456"
    expected = [1, -2.5, 3, 4, 0.5, -0.25, 7, 100, -0.0015, 12, 123456789.123456]
    assert decimal_numbers(text).tolist() == expected
    assert decimal_numbers(b"1\\-2.5\\.5\\-.25\\7.\\0012").tolist() == [1, -2.5, 0.5, -0.25, 7, 12]
    assert decimal_numbers(b"12").tolist() == [12]
    assert decimal_numbers(b"").shape == (0,)
    assert math.copysign(1, decimal_numbers(b"-0.0\\1")[0]) == -1
    assert np.array_equal(decimal_numbers(b"1.00000000000001"), [1.00000000000001])


@pytest.mark.parametrize(
    "text",
    [
        b"x",
        b"1\\",
        b"\\1",
        b"1\\\\2",
        b"1.2.3",
        b"1..\\2",
        b"-",
        b".",
        b"-.",
        b"1-2",
        b"--1",
        b"1e",
        b"nan",
        b"inf",
        b"1_0",
    ],
)
def test_what_is_no_number_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words are float's own
        decimal_numbers(text)


@pytest.mark.parametrize("digits", range(1, 17))
def test_every_number_of_digits_with_and_without_a_point(digits: int) -> None:
    text = "9081726354453627"[:digits]
    written = [text, f"-{text}", f"{text}.", f"-.{text}", f"{text[: digits // 2]}.{text[digits // 2 :]}", "7"]
    assert decimal_numbers("\\".join(written).encode()).tolist() == [float(part) for part in written]
