"""The people and places that an object names, so that the names can be found where nobody expects them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from pydicom import DataElement, Dataset
from pydicom.valuerep import PersonName

from imaging.deidentify.table import vr_of
from imaging.deidentify.terms import is_term
from imaging.deidentify.words import (
    SHORTEST_EMBEDDED,
    is_group,
    is_telling,
    is_uncased,
    parts,
    runs,
    spellings,
    uids_in,
)

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
_NUMBERED = frozenset({"AccessionNumber", "AdmissionID", "OtherPatientIDs", "PatientID", "PatientBirthDate"})
_TEXT = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_WALKED = _TEXT | {"DA", "UI", "SQ"}


@dataclass(frozen=True, kw_only=True)
class IdentifyingWords:
    """What can identify persons, places and objects, in every spelling of `words.spellings`."""

    words: frozenset[str]
    groups: frozenset[tuple[str, ...]] = (
        frozenset()
    )  # family and given name: short ones are searched together
    numbers: frozenset[str] = frozenset()  # identifiers without their separators
    uids: frozenset[str] = frozenset()

    def named_in(self, text: str) -> bool:
        """Tell whether the text contains one of the words, names of short words, numbers or UIDs."""
        if not self.uids.isdisjoint(uids_in(text)) or not self.words.isdisjoint(runs(text)):
            return True
        return any(self._found(parts(spelling)) for spelling in spellings(text))

    def _found(self, written: list[str]) -> bool:
        if not self.words.isdisjoint(written):
            return True
        joined = "".join(written)
        if any(word in joined for word in self._embedded):
            return True
        return any(_stands_in(order, together, written) for order, together in self._orders)

    @cached_property
    def _embedded(self) -> tuple[str, ...]:
        """The words that are also searched inside other words."""
        uncased = ("".join(order) for order, _ in self._orders)
        words = (word for word in self.words if len(word) >= SHORTEST_EMBEDDED)
        return (*self.numbers, *words, *filter(is_uncased, (*self.words, *uncased)))

    @cached_property
    def _orders(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        """Each group in both orders, as separate words and as one word."""
        orders = dict.fromkeys(order for group in self.groups for order in (group, group[::-1]))
        return tuple((order, "".join(order)) for order in orders)


def _stands_in(order: tuple[str, ...], together: str, written: list[str]) -> bool:
    if together in written:
        return True
    if order[0] not in written:
        return False
    length = len(order)
    return any(tuple(written[at : at + length]) == order for at in range(len(written) - length + 1))


def identities(elements: Iterable[DataElement]) -> IdentifyingWords:
    """Collect from an object's elements (`walk`) the names, identifiers, places and UIDs that the profile removes."""
    words: set[str] = set()
    groups: set[tuple[str, ...]] = set()
    numbers: set[str] = set()
    uids: set[str] = set()
    for element in elements:
        for text in texts(element):
            if element.VR == "UI":
                uids.add(text)
            elif element.VR == "PN" or element.keyword in _PLACES:
                for spelling in spellings(text):
                    words.update(word for word in parts(spelling) if is_telling(word))
            if element.VR == "PN":
                groups.update(_groups(text))
            if element.keyword in _NUMBERED:
                numbers.update(_numbers(text))
    private = frozenset(uid for uid in uids if not uid.startswith("1.2.840.10008."))
    return IdentifyingWords(
        words=frozenset(words), groups=frozenset(groups), numbers=frozenset(numbers), uids=private
    )


def listed_identities(lines: Iterable[str]) -> IdentifyingWords:
    """Return the identifiers of a list: one name (Family^Given), number or UID per line."""
    words: set[str] = set()
    groups: set[tuple[str, ...]] = set()
    numbers: set[str] = set()
    uids: set[str] = set()
    for line in (line.strip() for line in lines):
        if [line] == uids_in(line):
            uids.add(line)
            continue
        for spelling in spellings(line):
            words.update(word for word in parts(spelling) if is_telling(word))
        groups.update(_groups(line))
        numbers.update(_numbers(line))
    return IdentifyingWords(
        words=frozenset(words), groups=frozenset(groups), numbers=frozenset(numbers), uids=frozenset(uids)
    )


def _groups(name: str) -> Iterator[tuple[str, ...]]:
    """Yield family and given name of each component group of a name (PS3.5 6.2.1)."""
    for group in name.split("="):
        for spelling in spellings(group):
            words = [word for component in spelling.split("^")[:2] for word in parts(component)]
            if is_group(words):
                yield tuple(words)


def _numbers(text: str) -> Iterator[str]:
    for spelling in spellings(text):
        joined = "".join(parts(spelling))
        if len(joined) >= SHORTEST_EMBEDDED and re.search(r"\d", joined):
            yield joined


def still_named(elements: Iterable[DataElement], whom: IdentifyingWords) -> Iterator[DataElement]:
    """Yield the text elements in which somebody is still named."""
    return (
        element
        for element in elements
        if element.VR in _TEXT
        and any(whom.named_in(text) and not is_term(element.VR, text) for text in texts(element))
    )


def walk(dataset: Dataset) -> Iterator[DataElement]:
    """Yield every element that holds text, UIDs or items, at any depth, without decoding numbers or pixels."""
    for tag, raw in list(dataset.items()):
        if vr_of(tag, raw.VR) not in _WALKED:
            continue
        element = dataset[tag]
        yield element
        if element.VR == "SQ":
            for item in element.value:
                yield from walk(item)


def texts(element: DataElement) -> Iterable[str]:
    """Return the values of an element as texts; none for a sequence or bytes."""
    value = element.value
    if value is None or element.VR == "SQ" or isinstance(value, bytes | bytearray):
        return ()
    if isinstance(value, str | PersonName):
        return (str(value),)
    return tuple(str(one) for one in value) if isinstance(value, Iterable) else (str(value),)
