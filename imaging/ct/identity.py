"""Whether all slices of a series are of one patient and one study, as far as a result copies these."""

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.valuerep import PersonName

from imaging.ct.headers import SliceHeader
from imaging.ct.raw_slice import RawSlice, named
from imaging.dicom.patient_study import ALWAYS, WHERE_PRESENT, stated
from imaging.errors import ImageRefused, RefusalCode

_NAME = "PatientName"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_LETTERS_A_SLIP = 8
"""One letter in this many may differ before two spellings count as two names."""


def check_one_patient(headers: Sequence[SliceHeader]) -> tuple[str, ...]:
    """Return, as notes, those differences between slices that do not make them two patients.

    Raises ImageRefused where Patient ID differs, or where slices state different birth dates, sexes, issuers or names.
    Values are compared but never quoted.
    """
    _require_one(headers, _OF_SLICES)
    copied = dict.fromkeys((*ALWAYS, *WHERE_PRESENT, "PositionReferenceIndicator", "PatientPosition"))
    return tuple(_note(headers, keyword) for keyword in copied if _pair(headers, keyword, _alike))


def check_same_patient(of_slices: SliceHeader, beside: Sequence[RawSlice]) -> None:
    """Refuse (ImageRefused) images beside the slices (localizers, screen pages) that state another patient.

    An attribute that such a page lacks, such as Patient ID, does not count as a difference.
    """
    pages = [_page(raw, of_slices) for raw in beside]
    for page in pages:
        _require_one((of_slices, page), _OF_PAGES)


@dataclass(frozen=True)
class StatedPatient:
    """What an object says of its patient, by keyword, undecoded."""

    stated: Mapping[str, bytes]

    @classmethod
    def of(cls, header: Dataset) -> "StatedPatient":
        """Return what a dataset says."""
        return cls({keyword: stated(header, keyword) for keyword in (*_OF_PAGES, "SpecificCharacterSet")})

    def text(self, keyword: str) -> str:
        """Return a stated value without padding, or "" where it is absent or empty."""
        return self.stated.get(keyword, b"").decode("ascii", "replace").strip(" \0")


def patient_differences(one: StatedPatient, other: StatedPatient) -> tuple[str, ...]:
    """Return the keywords by which two objects state two patients; values are compared, never told.

    What one of them does not state tells nobody apart; a name may be spelt differently.
    """
    return tuple(keyword for keyword, same in _OF_PAGES.items() if not same(one, other, keyword))


def _page(raw: RawSlice, of_slices: SliceHeader) -> SliceHeader:
    """Return the patient and position attributes of an image in the form of a slice's header."""
    place = (*raw.text("ImagePositionPatient").split("\\"), "", "", "")
    return replace(
        of_slices,
        sop_instance_uid=raw.text("SOPInstanceUID"),
        position=(place[0], place[1], place[2]),
        stated=raw.values,
    )


class _States(Protocol):
    @property
    def stated(self) -> Mapping[str, bytes]: ...
    def text(self, keyword: str) -> str: ...


_Same = Callable[[_States, _States, str], bool]


def _pair(
    headers: Sequence[SliceHeader], keyword: str, same: _Same
) -> tuple[SliceHeader, SliceHeader] | None:
    """Return a slice with the value that most slices have, and one that disagrees with it; or None."""
    counts = Counter(header.stated.get(keyword, b"") for header in headers)
    if len(counts) < 2:
        return None
    stated = Counter({value: count for value, count in counts.items() if value.strip(b" \0")})
    usual = (stated or counts).most_common(1)[0][0]
    first = next(header for header in headers if header.stated.get(keyword, b"") == usual)
    other = next((header for header in headers if not same(first, header, keyword)), None)
    return None if other is None else (first, other)


def _alike(one: _States, other: _States, keyword: str) -> bool:
    return one.stated.get(keyword, b"").strip(b" \0") == other.stated.get(keyword, b"").strip(b" \0")


def _compatible(one: _States, other: _States, keyword: str) -> bool:
    a, b = one.text(keyword).casefold(), other.text(keyword).casefold()
    return not a or not b or a == b


def _one_name(one: _States, other: _States, keyword: str) -> bool:
    """Tell whether two names differ only in spelling; without a Patient ID, only in case, accents and punctuation."""
    a, b = (_words(_name(header, keyword)) for header in (one, other))
    if not a or not b or a == b:
        return True
    if not one.text("PatientID"):
        return False
    few, many = sorted((set(a), set(b)), key=len)
    if few <= many:
        return True
    joined = "".join(a), "".join(b)
    return _distance(*joined) <= max(1, max(map(len, joined)) // _LETTERS_A_SLIP)


def _name(header: _States, keyword: str) -> str:
    """Return a name as its character set has it; each byte as a letter (Latin-1) where it cannot be decoded by that.

    No letter is dropped: two names of undecodable letters alone would both be empty, and so compare as one.
    """
    raw, character_set = header.stated.get(keyword, b""), header.text("SpecificCharacterSet")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's own replacements
        try:
            found = str(PersonName(raw, convert_encodings(character_set.split("\\") or ["ISO_IR 6"])))
        except (LookupError, ValueError):  # a codec of Python that is for no text, or a term with a NUL
            return raw.decode("latin-1")
    return raw.decode("latin-1") if _REPLACEMENT in found else found


def _words(name: str) -> list[str]:
    """Return a name's words without case, accents and punctuation, in alphabetical order."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return sorted(re.findall(r"\w+", plain.casefold()))


def _distance(one: str, other: str) -> int:
    """Return how many letters must be changed, inserted or deleted to turn one text into the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


_OF_PAGES: Mapping[str, _Same] = {
    "PatientID": _compatible,
    "IssuerOfPatientID": _compatible,
    "PatientBirthDate": _compatible,
    "PatientSex": _compatible,
    _NAME: _one_name,
}
_OF_SLICES: Mapping[str, _Same] = {**_OF_PAGES, "PatientID": _alike}


def _require_one(headers: Sequence[SliceHeader], same: Mapping[str, _Same]) -> None:
    """Refuse (ImageRefused) slices of two patients, naming every attribute that differs and two images."""
    pairs = {keyword: pair for keyword in same if (pair := _pair(headers, keyword, same[keyword]))}
    if pairs:
        raise _two_patients(pairs)


def _two_patients(pairs: Mapping[str, tuple[SliceHeader, SliceHeader]]) -> ImageRefused:
    keywords = tuple(pairs)
    images = " and ".join(_place(header) for header in pairs[keywords[0]])
    also = "".join(f", {named(keyword)}" for keyword in keywords[1:])
    found = f"{named(keywords[0])}{also} differ{'s' if not also else ''} between {images}: two patients in one series"
    return ImageRefused(RefusalCode.MIXED_PATIENTS, f"{found}. Send the images of one patient alone.")


def _place(header: SliceHeader) -> str:
    z = header.position[2]
    return f"image {header.sop_instance_uid}" + (f" at z={z} mm" if z else "")


def _note(headers: Sequence[SliceHeader], keyword: str) -> str:
    pair = _pair(headers, keyword, _alike)
    assert pair is not None
    images = " and ".join(header.sop_instance_uid for header in pair)
    how = " in its spelling" if keyword == _NAME else ""
    return f"{named(keyword)} differs{how} between the images, as in {images}; the lowest slice's is taken"
