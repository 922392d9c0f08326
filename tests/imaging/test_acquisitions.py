"""Slices of two acquisitions, phases or reconstructions in one series."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from imaging.ct.acquisitions import check_one_acquisition
from imaging.ct.headers import SliceHeader
from imaging.ct.stack import check_stack
from imaging.errors import ImageRefused, RefusalCode
from tests.imaging.test_stack import refusal, stack


def saying(keyword: str, values: Sequence[str]) -> list[SliceHeader]:
    headers = stack(*(3.0 * k for k in range(len(values))))
    return [
        replace(header, stated={keyword: value.encode()})
        for header, value in zip(headers, values, strict=True)
    ]


@pytest.mark.parametrize(
    ("keyword", "values", "words"),
    [
        ("AcquisitionNumber", "12" * 10, "two acquisitions"),
        ("TemporalPositionIdentifier", "12" * 10, "two phases"),
        ("TemporalPositionIdentifier", "123" * 7, "three phases"),
        ("NominalPercentageOfRespiratoryPhase", ["0", "50"] * 10, "two phases"),
        ("ConvolutionKernel", ["B30f", "B70f"] * 10, "two reconstructions"),
        ("ConvolutionKernel", ["B30f"] * 8 + ["B70f"] + ["B30f"] * 8, "two reconstructions"),
        ("ConvolutionKernel", "aabbaabbaabb", "two reconstructions"),
        ("ImageType", ["ORIGINAL\\PRIMARY", "DERIVED\\PRIMARY"] * 10, "two reconstructions"),
        ("ImageComments", ["0% In", "50% Ex"] * 10, "two acquisitions"),
        ("KVP", ["80", "140"] * 10, "two acquisitions"),
        ("AcquisitionTime", ["101500", "101730"] * 10, "two acquisitions"),
        (
            "AcquisitionTime",
            [f"1015{k // 2 + 5 * (k % 2) + 10:02d}.5" for k in range(30)],
            "two acquisitions",
        ),
        ("AcquisitionNumber", "1111112121212222222", "two acquisitions"),
    ],
)
def test_what_takes_turns_along_z_is_refused(keyword: str, values: Sequence[str], words: str) -> None:
    with pytest.raises(ImageRefused) as found:
        check_stack(saying(keyword, values))
    assert found.value.code is RefusalCode.MIXED_ACQUISITIONS
    assert found.value.message.startswith(f"{words} lie in one series")
    assert found.value.message.endswith("Send one.")


def test_the_reason_names_both_values_and_two_images_and_no_free_text() -> None:
    message = refusal(saying("ConvolutionKernel", ["B30f", "B70f"] * 10)).message
    assert "(Convolution Kernel (0018,1210) B30f and B70f), as image 1.2.0 at z=0 mm" in message
    assert "In" not in refusal(saying("ImageComments", ["Mr In", "Ex"] * 10)).message.replace("Image", "")


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("AcquisitionNumber", "1" * 10 + "2" * 10),
        ("AcquisitionNumber", [str(k // 4) for k in range(40)]),
        ("AcquisitionNumber", [str(k) for k in range(20)]),
        ("AcquisitionNumber", ["1"] * 9 + [""] + ["1"] * 9),
        ("ConvolutionKernel", ["a"] * 10 + ["b"] * 10 + ["a"] * 10),
        ("KVP", list("aabababbabaabbbabaab")),
        ("ImageComments", [f"mA {200 + (k * 7) % 40}" for k in range(40)]),
        ("AcquisitionTime", [f"1015{k:02d}" for k in range(40)]),
        ("AcquisitionTime", ["101500"] * 10 + ["101800"] * 10),
        ("AcquisitionTime", [f"1015{k // 8 + (k % 2):02d}" for k in range(40)]),
        ("AcquisitionTime", ["no time"] * 10),
        ("ImageType", ["ORIGINAL"] * 20),
    ],
)
def test_blocks_and_values_of_each_slice_are_one_volume(keyword: str, values: Sequence[str]) -> None:
    check_one_acquisition(saying(keyword, values))


def test_twins_near_each_other_are_told_with_what_differs() -> None:
    headers = [
        replace(header, stated={"ConvolutionKernel": (b"B30f", b"B30m")[k % 2]})
        for k, header in enumerate(stack(0, 0.02, 3, 3.02, 6, 6.02))
    ]
    found = refusal(headers)
    assert found.code is RefusalCode.DUPLICATE_SLICES
    assert "3 position(s) hold more than one slice, up to 0.02 mm apart" in found.message
    assert "differ in Convolution Kernel (0018,1210) B30f and B30m" in found.message
    assert found.images == ("1.2.0", "1.2.1")


def test_two_even_stacks_between_each_other_are_told_by_their_distances() -> None:
    found = refusal(stack(*(3.0 * (k // 2) + 0.3 * (k % 2) for k in range(20))))
    assert found.code is RefusalCode.MIXED_ACQUISITIONS
    assert "0.3 and 2.7 mm apart in turn" in found.message
