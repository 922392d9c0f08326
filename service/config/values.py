"""Checked types that several settings share."""

import ipaddress
import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from service.config.section import SettingsSection as SettingsSection


def _ae_title(value: str) -> str:
    """Return the AE title if PS3.5 6.2 (VR AE) allows it, without the padding spaces."""
    title = value.strip(" ")
    printable = all(" " <= character <= "~" and character != "\\" for character in title)
    if not 1 <= len(title) <= 16 or not printable:
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return title


def _name(value: str) -> str:
    """Return the name if it can be a TOML key, part of an environment variable and a table cell."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", value):
        raise ValueError("a name has 1 to 64 characters: a-z, 0-9, '-' and '_', no '_' or '-' at the start")
    return value


def _host(value: str) -> str:
    """Return the host name or address if it has only characters that are allowed in one."""
    if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,253}", value):
        raise ValueError("a host is a name or an IP address, without scheme, port or spaces")
    return value


def is_address(host: str) -> bool:
    """Tell whether a host is given as an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _regex(value: str) -> str:
    """Return the regular expression if Python can compile it."""
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


class ObjectFamily(StrEnum):
    """Objects of one kind, as the settings name them."""

    SECONDARY_CAPTURE = "secondary-capture"
    REPORTS = "reports"
    KEY_OBJECTS = "key-objects"
    PRESENTATION_STATES = "presentation-states"
    REGISTRATIONS = "registrations"
    SEGMENTATIONS = "segmentations"
    DOCUMENTS = "documents"
    RADIOTHERAPY = "radiotherapy"
    IMAGES = "images"
    WAVEFORMS = "waveforms"
    OTHER = "other"


SopClassUid = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
AeTitle = Annotated[str, AfterValidator(_ae_title)]
Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
Regex = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_regex)]
Delay = Annotated[float, Field(ge=0, le=86400)]
Port = Annotated[int, Field(ge=1, le=65535)]
ListeningPort = Annotated[int, Field(ge=0, le=65535)]
