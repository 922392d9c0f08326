"""Checked types that several settings share."""

import re
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of the settings tree: frozen, unknown keys refused, defaults checked like given values."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=False)


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


AeTitle = Annotated[str, AfterValidator(_ae_title)]
Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
Regex = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_regex)]
Port = Annotated[int, Field(ge=1, le=65535)]
ListeningPort = Annotated[int, Field(ge=0, le=65535)]


class ProfileName(StrEnum):
    """What a destination's planning system takes; docs/profiles.md gives each value and its reason."""

    STANDARD = "standard"
    ECLIPSE = "eclipse"
    RAYSTATION = "raystation"
    MONACO = "monaco"
    PINNACLE = "pinnacle"


class Peer(Section):
    """A DICOM application that this node sends to."""

    ae_title: AeTitle = Field(description="AE title of the peer.")
    host: Host = Field(description="Host name or address of the peer.")
    port: Port = Field(description="TCP port of the peer.")
    profile: ProfileName = Field(
        default=ProfileName.STANDARD,
        description="How structure sets for it are written; see docs/profiles.md.",
    )
