"""Checked types that several settings share."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from imaging.export.profiles import Boundary
from service.config.section import SettingsSection as SettingsSection
from service.config.tls import TlsClientSettings


def _ae_title(value: str) -> str:
    """Give the AE title back if PS3.5 6.2 (VR AE) allows it, without the padding spaces."""
    title = value.strip(" ")
    printable = all(" " <= character <= "~" and character != "\\" for character in title)
    if not 1 <= len(title) <= 16 or not printable:
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return title


def _name(value: str) -> str:
    """Give the name back if it can stand in a TOML key, an environment variable and a table cell."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", value):
        raise ValueError("a name has 1 to 64 characters: a-z, 0-9, '-' and '_', no '_' or '-' at the start")
    return value


def _host(value: str) -> str:
    """Give the host name or address back if it has only characters that one can have."""
    if not re.fullmatch(r"[A-Za-z0-9._:%-]{1,253}", value):
        raise ValueError("a host is a name or an IP address, without scheme, port or spaces")
    return value


def _regex(value: str) -> str:
    """Give the regular expression back if Python can compile it."""
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


class ProfileName(StrEnum):
    """What a destination's planning system takes; docs/profiles.md gives each value and its reason."""

    STANDARD = "standard"
    ECLIPSE = "eclipse"
    RAYSTATION = "raystation"
    MONACO = "monaco"
    PINNACLE = "pinnacle"


class Confirm(StrEnum):
    """How the node makes sure that a destination keeps what it took."""

    NONE = "none"
    COMMITMENT = "commitment"
    QUERY = "query"


class Destination(SettingsSection):
    """What holds for every kind of destination: how objects for it are written, and what happens when it fails."""

    profile: ProfileName = Field(
        default=ProfileName.STANDARD,
        description="How structure sets for it are written; see docs/profiles.md.",
    )
    boundary: Boundary | None = Field(
        default=None,
        description="Where its polygons run: along the voxels, or near them as docs/profiles.md bounds it; absent: the profile's.",
    )
    boundary_tolerance_mm: Annotated[float, Field(ge=0.01, le=5)] | None = Field(
        default=None,
        description="How far its polygons may be moved to have fewer points; absent: the profile's.",
    )
    fallback: Name | None = Field(
        default=None,
        description="Destination that gets the objects instead, once this one refused them or its attempts are used up.",
    )
    confirm: Confirm = Field(
        default=Confirm.NONE,
        description="Ask it whether it keeps what it took: by storage commitment, or by a query; see docs/delivery.md.",
    )
    confirm_s: Annotated[float, Field(ge=1, le=604800)] = Field(
        default=600, description="Time after which it is asked again, when it has not confirmed."
    )
    confirm_attempts: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=12, description="How often it is asked before the delivery fails for good."
    )
    max_attempts: Annotated[int, Field(ge=1, le=10000)] | None = Field(
        default=None,
        description="Failed attempts after which a delivery fails for good; absent: send.max_attempts.",
    )
    backoff_s: Delay | None = Field(
        default=None, description="Delay after the first failure; absent: send.backoff_s."
    )
    backoff_max_s: Delay | None = Field(
        default=None, description="Longest delay between two attempts; absent: send.backoff_max_s."
    )
    timeout_s: Annotated[float, Field(ge=1, le=3600)] | None = Field(
        default=None, description="How long to wait for it to connect or to answer; absent: send.timeout_s."
    )


class Peer(Destination):
    """A DICOM application that this node sends to."""

    ae_title: AeTitle = Field(description="AE title of the peer.")
    host: Host = Field(description="Host name or address of the peer.")
    port: Port = Field(description="TCP port of the peer.")
    answers_queries: bool = Field(
        default=False, description="As a sender it is asked by C-FIND how many images a series has."
    )
    tls: TlsClientSettings | None = Field(default=None, description="TLS to the peer; absent: none.")
