"""What every object that leaves takes from its CT: patient and study byte for byte, and the zone its times are told in."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import cast

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
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
_ZONE_LENGTH = 5


def copied(header: Dataset, keywords: Iterable[str], *, even_if_absent: bool = False) -> Elements:
    """The CT's own values, byte for byte; with `even_if_absent` an attribute that the CT lacks is there, empty."""
    elements: Elements = {}
    for keyword in keywords:
        tag = Tag(keyword)
        if tag in header:
            elements[tag] = _verbatim(header, tag)
        elif even_if_absent:
            elements[tag] = DataElement(tag, dictionary_VR(tag), "")
    return elements


def wall_clock(created: datetime, header: Dataset) -> datetime:
    """The time in the zone that the CT states, or else as given (PS3.3 C.12.1.1.8)."""
    stated = str(header.get("TimezoneOffsetFromUTC", None) or "").strip()
    if len(stated) != _ZONE_LENGTH or stated[0] not in "+-" or not stated[1:].isdigit():
        return created
    offset = timedelta(hours=int(stated[1:3]), minutes=int(stated[3:]))
    return created.astimezone(timezone(-offset if stated[0] == "-" else offset))


def _verbatim(header: Dataset, tag: BaseTag) -> DataElement | RawDataElement:
    found = cast(DataElement | RawDataElement, header.get_item(tag))
    if isinstance(found, RawDataElement):
        value = found.value or b""
        return found._replace(VR=dictionary_VR(tag), value=value, length=len(value))
    return found
