"""Attributes that every output object takes from its CT: patient and study byte for byte, and the time zone."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import cast

from pydicom import DataElement, Dataset
from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

Elements = dict[BaseTag, DataElement | RawDataElement]

# Type 1 and 2 attributes of Patient and General Study: present, though perhaps empty.
ALWAYS = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
)
WHERE_PRESENT = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "StudyDescription",
    "IssuerOfPatientID",
    "PatientAge",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)
_ZONE = re.compile(rb"[+-](0\d|1[0-4])[0-5]\d")  # PS3.3 C.12.1.1.8: -1200 to +1400


def copied(header: Dataset, keywords: Iterable[str], *, even_if_absent: bool = False) -> Elements:
    """Return the CT's own values, byte for byte.

    With `even_if_absent`, an attribute that the CT lacks is present but empty.
    """
    elements: Elements = {}
    for keyword in keywords:
        tag = Tag(keyword)
        if tag in header:
            elements[tag] = _verbatim(header, tag)
        elif even_if_absent:
            elements[tag] = DataElement(tag, dictionary_VR(tag), "")
    return elements


def wall_clock(created: datetime, header: Dataset) -> datetime:
    """Return the time in the time zone that the CT states, else as given (PS3.3 C.12.1.1.8)."""
    zone = stated(header, "TimezoneOffsetFromUTC").strip(b" \0")
    if not _ZONE.fullmatch(zone):
        return created
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
    return created.astimezone(timezone(-offset if zone[:1] == b"-" else offset))


def stated(header: Dataset, keyword: str) -> bytes:
    """Return the value's bytes as they arrived, undecoded; empty where the attribute is absent."""
    tag = Tag(keyword)
    if tag not in header:
        return b""
    found = cast(DataElement | RawDataElement, header.get_item(tag))
    if isinstance(found, RawDataElement):
        return found.value or b""
    values = found.value if isinstance(found.value, MultiValue) else [found.value]
    text = "\\".join("" if value is None else str(value) for value in values)
    return encode_string(text, convert_encodings(header.get("SpecificCharacterSet", None)))


def given_by(header: Dataset) -> dict[int, bytes]:
    """Return the values that a result copies from this CT, by tag, as they arrived."""
    keywords = (*ALWAYS, *WHERE_PRESENT, "PositionReferenceIndicator")
    return {int(Tag(keyword)): stated(header, keyword) for keyword in keywords}


def _verbatim(header: Dataset, tag: BaseTag) -> DataElement | RawDataElement:
    found = cast(DataElement | RawDataElement, header.get_item(tag))
    if isinstance(found, RawDataElement):
        value = found.value or b""
        value += b" " * (len(value) % 2)  # an odd length is the sender's fault and is not passed on
        return found._replace(VR=dictionary_VR(tag), value=value, length=len(value))
    return found
