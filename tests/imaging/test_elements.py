import contextlib
import io
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, Sequence, dcmread, dcmwrite

from imaging.ct.headers import parse_header
from imaging.dicom.elements import MalformedStream, elements, end_of, items, open_stream
from imaging.errors import ImageRefused, StructureSetUnreadable
from imaging.rtstruct.writing import read_structure_set, write_structure_set
from tests.imaging.ct_slices import part10, slice_dataset
from tests.imaging.structure_sets import ct_series, request

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
PLAIN = write_structure_set(request(ct_series()))


def nested(*, undefined: bool) -> Dataset:
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3"
    middle = Dataset()
    middle.ReferencedImageSequence = Sequence([inner, Dataset()])
    outer = slice_dataset(np.zeros((2, 2), np.int16))
    outer.ReferencedStudySequence = Sequence([middle, middle])
    for dataset, keyword in ((middle, "ReferencedImageSequence"), (outer, "ReferencedStudySequence")):
        dataset[keyword].is_undefined_length = undefined
        for item in dataset[keyword].value:
            item.is_undefined_length_sequence_item = undefined
    return outer


NESTED = part10(nested(undefined=True))


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_the_same_tags_as_pydicom_finds_with_sequences_stepped_over(undefined: bool, syntax: str) -> None:
    data = part10(nested(undefined=undefined), syntax)
    stream = open_stream(data)
    found = list(elements(stream.data, stream.start, len(data), stream.encoding))
    assert [e.tag for e in found] == [int(tag) for tag in sorted(dcmread(io.BytesIO(data)).keys())]
    sequence = next(e for e in found if e.tag == 0x00081110)
    assert len(list(items(data, sequence, len(data), stream.encoding))) == 2


def test_sequences_nested_ten_thousand_deep_cost_neither_stack_nor_time() -> None:
    head = struct.pack("<HHLHHL", 0x0008, 0x1140, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    tail = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    last = struct.pack("<HHL", 0x0008, 0x2111, 2) + b"x "
    start = time.perf_counter()
    for data in (head * 10_000 + tail * 10_000 + last, head * 10_000):
        stream = open_stream(data)
        tags = [e.tag for e in elements(stream.data, stream.start, len(data), stream.encoding)]
        assert tags == ([0x00081140, 0x00082111] if len(data) > 200_000 else [0x00081140])
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("data", [b"", b"DICM", b"GIF89a" + b"\0" * 200, b"\xff" * 500])
def test_bytes_of_something_else_are_told_apart(data: bytes) -> None:
    with pytest.raises(MalformedStream):
        open_stream(data)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=4),
)
def test_damaged_files_are_read_or_refused_and_nothing_else(
    kept: float, damage: list[tuple[float, int]]
) -> None:
    for plain, read in ((NESTED, parse_header), (PLAIN, read_structure_set)):
        damaged = bytearray(plain[: 132 + int(kept * (len(plain) - 132))])
        for place, value in damage:
            damaged[int(place * (len(damaged) - 1))] = value
        with contextlib.suppress(ImageRefused, StructureSetUnreadable):
            read(bytes(damaged))


def test_deep_nesting_can_be_refused_at_its_first_sight() -> None:
    head = struct.pack("<HHLHHL", 0x0008, 0x1140, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    for depth, is_refused in ((32, False), (33, True), (10_000, True)):
        stream = open_stream(head * depth)
        element = next(elements(stream.data, 0, len(stream.data), stream.encoding))
        with (
            pytest.raises(MalformedStream, match="deeper than 32") if is_refused else contextlib.nullcontext()
        ):
            end_of(stream.data, element, len(stream.data), stream.encoding, 32)


def deflated(data_set: bytes) -> bytes:
    file = dcmread(io.BytesIO(NESTED))
    file.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    buffer = io.BytesIO()
    dcmwrite(buffer, file)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    head = open_stream(buffer.getvalue()).header_end
    return buffer.getvalue()[:head] + packer.compress(data_set) + packer.flush()


def test_a_deflated_stream_that_swells_without_bounds_is_refused() -> None:
    stream = open_stream(NESTED)
    plain = NESTED[stream.start :]
    assert open_stream(deflated(plain + bytes(1 << 20))).data.startswith(plain)
    with pytest.raises(MalformedStream, match="swollen from"):
        open_stream(deflated(plain + bytes(1 << 25)))


def test_zeros_behind_the_last_element_are_padding() -> None:
    stream = open_stream(NESTED)
    padded = NESTED + bytes(8000)
    found = [list(elements(data, stream.start, len(data), stream.encoding)) for data in (NESTED, padded)]
    assert found[0] == found[1]
    assert read_structure_set(PLAIN + bytes(8000)).rois[0].name == read_structure_set(PLAIN).rois[0].name


def test_a_deflated_stream_that_is_none_is_refused() -> None:
    data = deflated(b"x" * 50)
    with pytest.raises(MalformedStream, match="does not inflate"):
        open_stream(data[:-20] + b"\xff" * 20)
