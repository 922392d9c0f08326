"""Whether all slices of a series are of one patient and one study, as far as a result copies these from one of them."""

import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Sequence

from pydicom.charset import convert_encodings
from pydicom.valuerep import PersonName

from imaging.ct.headers import SliceHeader
from imaging.ct.raw_slice import named
from imaging.dicom.patient_study import ALWAYS, WHERE_PRESENT
from imaging.errors import ImageRefused, RefusalCode

_ALWAYS_ALIKE = ("PatientID",)
_ALIKE_WHERE_STATED = ("IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_NAME = "PatientName"
_LETTERS_A_SLIP = 8
"""One letter in so many may differ for a name to be the same one, spelt differently."""


def check_one_patient(headers: Sequence[SliceHeader]) -> tuple[str, ...]:
    """Return, as notes, the differences between slices that still leave them one patient's.

    ImageRefused where Patient ID differs, or where slices state different birth dates, sexes, issuers or names. Values are
    compared, never told.
    """
    told_apart = [keyword for keyword in _ALWAYS_ALIKE if _pair(headers, keyword, _alike)]
    told_apart += [keyword for keyword in _ALIKE_WHERE_STATED if _pair(headers, keyword, _compatible)]
    if _pair(headers, _NAME, _one_name):
        told_apart.append(_NAME)
    if told_apart:
        raise _two_patients(headers, told_apart)
    copied = dict.fromkeys((*ALWAYS, *WHERE_PRESENT, "PositionReferenceIndicator", "PatientPosition"))
    return tuple(_note(headers, keyword) for keyword in copied if _pair(headers, keyword, _alike))


_Same = Callable[[SliceHeader, SliceHeader, str], bool]


def _pair(
    headers: Sequence[SliceHeader], keyword: str, same: _Same
) -> tuple[SliceHeader, SliceHeader] | None:
    """Return a slice with the value that most have and one that disagrees with it, or None."""
    counts = Counter(header.stated.get(keyword, b"") for header in headers)
    if len(counts) < 2:
        return None
    stated = Counter({value: count for value, count in counts.items() if value.strip(b" \0")})
    usual = (stated or counts).most_common(1)[0][0]
    first = next(header for header in headers if header.stated.get(keyword, b"") == usual)
    other = next((header for header in headers if not same(first, header, keyword)), None)
    return None if other is None else (first, other)


def _alike(one: SliceHeader, other: SliceHeader, keyword: str) -> bool:
    return one.stated.get(keyword, b"").strip(b" \0") == other.stated.get(keyword, b"").strip(b" \0")


def _compatible(one: SliceHeader, other: SliceHeader, keyword: str) -> bool:
    a, b = one.text(keyword).casefold(), other.text(keyword).casefold()
    return not a or not b or a == b


def _one_name(one: SliceHeader, other: SliceHeader, keyword: str) -> bool:
    """Whether two names differ in spelling alone; without a Patient ID only case, accents and punctuation may."""
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


def _name(header: SliceHeader, keyword: str) -> str:
    stated = header.text("SpecificCharacterSet").split("\\") if header.text("SpecificCharacterSet") else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name in an unknown character set is compared as it is read
        try:
            encodings = convert_encodings(stated or ["ISO_IR 6"])
            return str(PersonName(header.stated.get(keyword, b""), encodings))
        except (LookupError, UnicodeError, ValueError):
            return header.text(keyword)


def _words(name: str) -> list[str]:
    """Return a name's words without case, accents and punctuation, in alphabetical order."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return sorted(re.findall(r"\w+", plain.casefold()))


def _distance(one: str, other: str) -> int:
    """How many letters must be changed, added or left out to make one text the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def _two_patients(headers: Sequence[SliceHeader], keywords: Sequence[str]) -> ImageRefused:
    same: dict[str, _Same] = {_NAME: _one_name, "PatientID": _alike}
    pair = _pair(headers, keywords[0], same.get(keywords[0], _compatible))
    assert pair is not None
    images = " and ".join(f"image {header.sop_instance_uid} at z={header.position[2]} mm" for header in pair)
    also = "".join(f", {named(keyword)}" for keyword in keywords[1:])
    found = f"{named(keywords[0])}{also} differ{'s' if not also else ''} between {images}: two patients in one series"
    return ImageRefused(RefusalCode.MIXED_PATIENTS, f"{found}. Send the images of one patient alone.")


def _note(headers: Sequence[SliceHeader], keyword: str) -> str:
    pair = _pair(headers, keyword, _alike)
    assert pair is not None
    images = " and ".join(header.sop_instance_uid for header in pair)
    how = " in its spelling" if keyword == _NAME else ""
    return f"{named(keyword)} differs{how} between the images, as in {images}; the lowest slice's is taken"
