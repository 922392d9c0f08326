"""Texts of a structure set in the characters that a profile and the CT's character set allow."""

import dataclasses
from collections.abc import Iterable

from pydicom import DataElement, Dataset

from imaging.ct.series import ImageSeries
from imaging.dicom.character_sets import is_encodable
from imaging.dicom.patient_study import given_by
from imaging.export.names import is_spelt_plainly, plain, tidy, transliterated
from imaging.export.profiles import Characters, ExportProfile

_CHARACTER_SET = 0x00080005
_UTF_8 = "ISO_IR 192"


def with_letters_of(texts: Iterable[str], series: ImageSeries) -> ImageSeries:
    """Return the series with UTF-8 declared where its character set lacks non-Latin letters of these texts.

    Only where everything that is copied from the CT is ASCII: its bytes then mean the same in UTF-8. Otherwise the
    series is returned as it is.
    """
    if all(is_spelt_plainly(text) or is_encodable(text, series.header) for text in texts):
        return series
    copied = (value for tag, value in given_by(series.header).items() if tag != _CHARACTER_SET)
    if not all(_same_in_utf_8(value) for value in copied):
        return series
    header = Dataset(dict(series.header.items()))
    header[_CHARACTER_SET] = DataElement(_CHARACTER_SET, "CS", _UTF_8)
    return dataclasses.replace(series, header=header)


def _same_in_utf_8(value: bytes) -> bool:
    """Tell whether bytes are printable ASCII without a tilde (another letter in ISO_IR 13) or escape sequences."""
    return all(b" "[0] <= byte < b"~"[0] for byte in value.rstrip(b"\0"))


def legible(text: str, series: ImageSeries, profile: ExportProfile) -> str:
    """Return the text in the profile's characters; in plain ones also where the CT's character set lacks them."""
    tidied = tidy(text)
    if profile.characters is Characters.ASCII or not is_encodable(tidied, series.header):
        return plain(text)
    return tidied


def description(full: str, series: ImageSeries, profile: ExportProfile) -> tuple[str, str]:
    """Return an ROI description and, where it is not `full`, why.

    For an ASCII profile it is ASCII where that keeps its letters; a name in another alphabet stays whole in the
    declared character set, or is transliterated where that set lacks the letters.
    """
    text = tidy(full)
    if profile.characters is Characters.ASCII and is_spelt_plainly(full):
        return plain(full), "the destination takes ASCII"
    if not is_encodable(text, series.header):
        return transliterated(full) or plain(full), "the CT's character set has not got its letters"
    return text, "it is one line of text"


def letters(profile: ExportProfile) -> str:
    """Return the name of the profile's kind of characters, for a message."""
    return "ASCII" if profile.characters is Characters.ASCII else "legible"
