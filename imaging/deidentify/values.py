"""Replacement values: shifted dates, and dummies of every VR."""

import re
from datetime import datetime, timedelta

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})(.*)", re.DOTALL)
_OLD_DATE = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
_REST_OF_DATETIME = re.compile(r"(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?([+-]\d{4})?")
_OLDEST_TOLD = 89
_DUMMIES: dict[str, object] = {
    "AE": "REMOVED",
    "AS": "000Y",
    "AT": 0,
    "CS": "REMOVED",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "FD": 0.0,
    "FL": 0.0,
    "IS": "0",
    "LO": "REMOVED",
    "LT": "REMOVED",
    "PN": "REMOVED",
    "SH": "REMOVED",
    "SL": 0,
    "SS": 0,
    "ST": "REMOVED",
    "SV": 0,
    "TM": "000000",
    "UC": "REMOVED",
    "UL": 0,
    "UR": "urn:removed",
    "US": 0,
    "UT": "REMOVED",
    "UV": 0,
}


def dummy(vr: str) -> object:
    """Return a meaningless value of the VR; two zero bytes for bulk data and unknown VRs."""
    return _DUMMIES.get(vr, b"\0\0")


def moved(value: str, vr: str, by: timedelta) -> str:
    """Return a DA or DT value shifted by whole days, and a TM value as it is; empty where it is not valid."""
    text = value.strip(" \0")
    if vr == "TM":
        return text if _TIME.fullmatch(text) else ""
    match = _OLD_DATE.fullmatch(text) or _DATE.fullmatch(text)
    if match is None:
        return ""
    year, month, day, *rest = match.groups()
    after = rest[0] if rest else ""
    if after and (vr == "DA" or not _REST_OF_DATETIME.fullmatch(after)):
        return ""
    try:
        then = datetime(int(year), int(month), int(day)) + by  # noqa: DTZ001 - a date of the calendar, nowhere
    except (ValueError, OverflowError):
        return ""
    return f"{then:%Y%m%d}".rjust(8, "0") + after


def age(value: str) -> str:
    """Return an age as it is, but 090Y for everybody over 89: so few are that old that the age would identify them."""
    text = value.strip(" \0")
    if not re.fullmatch(r"\d{3}[DWMY]", text):
        return ""
    return "090Y" if text.endswith("Y") and int(text[:3]) > _OLDEST_TOLD else text
