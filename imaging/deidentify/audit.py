"""A search of copies for the identifiers of known originals, or of a list: which attributes still hold one."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pydicom
from pydicom import DataElement, Dataset

from imaging.deidentify.errors import DeidentificationRefused
from imaging.deidentify.identifiers import IdentifyingWords, identities, listed_identities, texts, walk
from imaging.deidentify.terms import is_term
from imaging.errors import PARSE_ERRORS

_SHORTEST_IN_BYTES = 5


@dataclass(frozen=True, kw_only=True)
class FoundIdentifier:
    """An attribute that holds an identifier; never the identifier itself, because findings are passed on."""

    tag: str
    keyword: str
    vr: str


def identifiers_of(data: bytes, name: str) -> IdentifyingWords:
    """Return what can identify an original; DeidentificationRefused where it is not a DICOM object."""
    try:
        return identities(walk(_read(data)))
    except PARSE_ERRORS as error:
        raise DeidentificationRefused(f"{name} cannot be read as DICOM: {error}") from error


def together(many: Iterable[IdentifyingWords]) -> IdentifyingWords:
    """Return the identifiers of all of them as one."""
    all_of = list(many)
    return IdentifyingWords(
        words=frozenset().union(*(one.words for one in all_of)),
        groups=frozenset().union(*(one.groups for one in all_of)),
        numbers=frozenset().union(*(one.numbers for one in all_of)),
        uids=frozenset().union(*(one.uids for one in all_of)),
    )


def find_identifiers(data: bytes, whom: IdentifyingWords, name: str) -> Iterator[FoundIdentifier]:
    """Yield every attribute of a file, those of the header and private ones included, that holds an identifier.

    Raises DeidentificationRefused where it is not a DICOM object, or an attribute cannot be read.
    """
    try:
        dataset = _read(data)
        for element in (*dataset.file_meta, *dataset.iterall()):
            if _holds(element, whom):
                yield FoundIdentifier(tag=str(element.tag), keyword=element.name, vr=str(element.VR))
        if _in_bytes(dataset.preamble or b"", whom):
            yield FoundIdentifier(tag="", keyword="the preamble", vr="")
    except PARSE_ERRORS as error:
        raise DeidentificationRefused(f"{name} cannot be read as DICOM: {error}") from error


def _read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def _holds(element: DataElement, whom: IdentifyingWords) -> bool:
    if isinstance(element.value, bytes | bytearray):
        return _in_bytes(bytes(element.value), whom)
    if element.VR in ("DS", "FL", "FD") and element.VM > 1:  # coordinates, in which any digits may occur
        return False
    return any(_named(element, text, whom) for text in texts(element))


def _named(element: DataElement, text: str, whom: IdentifyingWords) -> bool:
    if element.VR in ("DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"):
        return text.removesuffix(".0") in whom.numbers
    if element.VR == "UI":
        return text in whom.uids
    return whom.named_in(text) and not is_term(element.VR, text)


def _in_bytes(value: bytes, whom: IdentifyingWords) -> bool:
    lower = value.lower()
    known = (*whom.words, *whom.numbers, *whom.uids)
    return any(len(one.encode()) >= _SHORTEST_IN_BYTES and one.encode() in lower for one in known)


__all__ = ["FoundIdentifier", "find_identifiers", "identifiers_of", "listed_identities", "together"]
