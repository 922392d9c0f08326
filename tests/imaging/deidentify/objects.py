"""Objects with a canary in every attribute of PS3.15 Table E.1-1, and a look at what is left of them."""

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import pydicom
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from imaging.deidentify.table import rows

HOLDS_OTHERS = Tag(0x0008, 0x1115)  # Referenced Series Sequence: not in the table
TEXT = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
NOT_SEARCHED = frozenset({0x00080016, 0x00080018, 0x00080060})


@dataclass
class Canaries:
    """Values that must not be found again: texts, UIDs and dates, with the tag that they stood in."""

    dice: random.Random
    values: dict[str, int] = field(default_factory=dict)

    def value(self, tag: int, vr: str) -> object:
        number = self.dice.randrange(10**9, 10**10)
        month = self.dice.randrange(1, 10)
        if vr in TEXT:
            return self._kept(f"ZQ{number}", tag)
        if vr.startswith(("OB", "OW", "OF", "UN")):
            return self._kept(f"ZQ{number}", tag).encode()
        if vr in ("UI", "DA", "DT"):
            told = {
                "UI": f"1.2.826.{number}",
                "DA": f"1987{month:02}17",
                "DT": f"2019{month:02}18101112.123456",
            }
            return self._kept(told[vr], tag)
        plain = {"TM": "101112.654321", "AS": "042Y", "DS": str(number % 10**6), "IS": str(number % 10**6)}
        return plain.get(vr, 1.5 if vr in ("FD", "FL") else number % 10**4)

    def _kept(self, text: str, tag: int) -> str:
        self.values[text] = tag
        return text


def listed() -> Iterator[tuple[int, str]]:
    """Every attribute of the table that the dictionary at hand knows, and that can stand in a dataset."""
    for tag in rows():
        if tag >> 16 > 0x0004 and dictionary_has_tag(tag) and tag not in NOT_SEARCHED:
            yield tag, dictionary_VR(tag)


def every_listed_attribute(canaries: Canaries, depth: int) -> Dataset:
    """An item with every attribute of the table, private ones, an overlay and a curve; ``depth`` levels of them."""
    item = Dataset()
    for tag, vr in listed():
        if vr == "SQ":
            inner = Dataset()
            inner.add_new(0x00104000, "LT", canaries.value(0x00104000, "LT"))
            inner.add_new(0x00081155, "UI", canaries.value(0x00081155, "UI"))
            inner.add_new(0x0040A123, "PN", canaries.value(0x0040A123, "PN"))
            item.add_new(tag, "SQ", [inner])
        else:
            item.add_new(tag, vr.split(" or ")[0], canaries.value(tag, vr))
    item.add_new(0x00190010, "LO", "SOME VENDOR")
    item.add_new(0x00191001, "LO", canaries.value(0x00191001, "LO"))
    item.add_new(0x60003000, "OW", canaries.value(0x60003000, "OW"))
    item.add_new(0x60004000, "LT", canaries.value(0x60004000, "LT"))
    item.add_new(0x50003000, "OW", canaries.value(0x50003000, "OW"))
    if depth > 1:
        item.add_new(HOLDS_OTHERS, "SQ", [every_listed_attribute(canaries, depth - 1)])
    return item


def file_of(dataset: Dataset) -> bytes:
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = "1.2.826.7"
    dataset.Modality = "CT"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.preamble = b"ZQ in the preamble".ljust(128, b"\0")
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def without_bulk(data: bytes) -> bytes:
    """The file without pixels and contour coordinates, in which any digits can stand."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    for keyword in ("PixelData",):
        if keyword in dataset:
            del dataset[keyword]
    for roi in dataset.get("ROIContourSequence", None) or []:
        for contour in roi.get("ContourSequence", None) or []:
            contour.ContourData = []
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def elements(dataset: Dataset) -> Iterator[DataElement]:
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from elements(item)


__all__ = [
    "HOLDS_OTHERS",
    "Canaries",
    "elements",
    "every_listed_attribute",
    "file_of",
    "listed",
    "without_bulk",
]
