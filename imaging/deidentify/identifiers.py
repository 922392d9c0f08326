"""Whom an object names, to find the names again where nobody expects them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom import DataElement, Dataset
from pydicom.valuerep import PersonName

from imaging.deidentify.table import vr_of

SHORTEST_WORD = 4  # shorter ones stand in too many words that mean something else
_PLACES = frozenset(
    {
        "AccessionNumber",
        "AdmissionID",
        "InstitutionName",
        "InstitutionAddress",
        "InstitutionalDepartmentName",
        "IssuerOfPatientID",
        "MedicalRecordLocator",
        "OtherPatientIDs",
        "PatientAddress",
        "PatientID",
        "PatientTelephoneNumbers",
        "StationName",
        "StudyID",
    }
)
_TEXT = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})  # CS: a word of a closed list
_WALKED = _TEXT | {"UI", "SQ"}


@dataclass(frozen=True)
class IdentifyingWords:
    """The words by which persons and places of an object can be known, in lower case."""

    words: frozenset[str]

    def named_in(self, text: str) -> bool:
        """Tell whether one of the words stands in the text as a word of its own."""
        return bool(self.words & set(_words(text)))


def identities(dataset: Dataset) -> IdentifyingWords:
    """Collect the words of every person's name, and of the identifiers and places that the profile takes away."""
    found = {
        word
        for element in walk(dataset)
        if _tells(element)
        for text in texts(element)
        for word in _words(text)
    }
    return IdentifyingWords(frozenset(found))


def still_named(dataset: Dataset, whom: IdentifyingWords) -> Iterator[DataElement]:
    """Give the text elements in which somebody is still named."""
    return (
        element
        for element in walk(dataset)
        if element.VR in _TEXT and any(whom.named_in(text) for text in texts(element))
    )


def walk(dataset: Dataset) -> Iterator[DataElement]:
    """Give every element that holds text, UIDs or items, at any depth, without decoding numbers or pixels."""
    for tag in list(dataset.keys()):
        if vr_of(tag, dataset.get_item(tag).VR) not in _WALKED:
            continue
        element = dataset[tag]
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from walk(item)


def texts(element: DataElement) -> Iterable[str]:
    """Give the values of an element as texts; none for a sequence or bytes."""
    value = element.value
    if value is None or element.VR == "SQ" or isinstance(value, bytes | bytearray):
        return ()
    if isinstance(value, str | PersonName):
        return (str(value),)
    return tuple(str(one) for one in value) if isinstance(value, Iterable) else (str(value),)


def _tells(element: DataElement) -> bool:
    return element.VR == "PN" or element.keyword in _PLACES


def _words(text: str) -> Iterator[str]:
    return (word for word in re.split(r"[\W_]+", text.casefold()) if len(word) >= SHORTEST_WORD)
