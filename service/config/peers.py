"""The table ``peers``: every DICOM application and DICOMweb server that the node knows by name."""

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from imaging.export.profiles import Boundary
from service.config.section import SettingsSection
from service.config.tls import TlsSettings
from service.config.values import AeTitle, Host, Name, Port


def _network(value: str) -> str:
    """Return the network in its usual notation; a single address is a network with one address."""
    try:
        return str(ipaddress.ip_network(value, strict=True))
    except ValueError as error:
        raise ValueError(f"a network is an address or address/length, as in 10.1.0.0/16: {error}") from error


def _certificate_name(value: str) -> str:
    """Return the name of a certificate: sha256:<64 hex digits>, DNS:<name> or CN:<common name>."""
    kind, colon, text = value.partition(":")
    if kind == "sha256" and colon:
        fingerprint = text.replace(":", "").lower()
        if re.fullmatch(r"[0-9a-f]{64}", fingerprint):
            return f"sha256:{fingerprint}"
    if kind in ("DNS", "CN") and re.fullmatch(r"[ -~]{1,253}", text):
        return value
    raise ValueError(
        "a certificate is named sha256:<its fingerprint>, DNS:<a name in it> or CN:<its common name>"
    )


Network = Annotated[str, AfterValidator(_network)]
CertificateName = Annotated[str, AfterValidator(_certificate_name)]


Url = Annotated[str, Field(pattern=r"^https?://[^\s@?#]{1,500}$")]


class Sender(SettingsSection):
    """A DICOM application that sends to the node; without host and port it can do nothing else."""

    ae_title: AeTitle = Field(description="AE title of the peer.")
    may_send: bool = Field(
        default=False, description="With receive.admit = 'peers' it may open an association with the node."
    )
    networks: tuple[Network, ...] = Field(
        default=(), description="Addresses or networks (CIDR) it may send from; empty: any."
    )
    certificates: tuple[CertificateName, ...] = Field(
        default=(),
        description="Client certificates it may show (sha256:, DNS: or CN:); empty: any, or none without TLS.",
    )

    @model_validator(mode="after")
    def _limits_are_of_a_sender(self) -> Self:
        if (self.networks or self.certificates) and not self.may_send:
            raise ValueError("networks and certificates limit a sender: allowed with may_send = true")
        return self


class ProfileName(StrEnum):
    """What a destination's planning system accepts; docs/profiles.md gives each value and its reason."""

    STANDARD = "standard"
    ECLIPSE = "eclipse"
    RAYSTATION = "raystation"
    MONACO = "monaco"
    PINNACLE = "pinnacle"


class Confirm(StrEnum):
    """How the node makes sure that a destination has what it took."""

    NONE = "none"
    COMMITMENT = "commitment"
    QUERY = "query"


class Destination(SettingsSection):
    """Settings of every kind of destination: how objects for it are written, and what happens when it fails."""

    profile: ProfileName = Field(
        default=ProfileName.STANDARD,
        description="How structure sets for it are written; see docs/profiles.md.",
    )
    boundary: Boundary | None = Field(
        default=None,
        description="Where its polygons run: along the voxels, or near them within the bounds of docs/profiles.md; absent: the profile's.",
    )
    boundary_tolerance_mm: Annotated[float, Field(ge=0.01, le=5)] | None = Field(
        default=None,
        description="How far its polygons may be moved to have fewer points; absent: the profile's.",
    )
    fallback: Name | None = Field(
        default=None,
        description="Destination that gets the objects instead once this one has refused them or its attempts are used up.",
    )
    confirm: Confirm = Field(
        default=Confirm.NONE,
        description="Ask it to confirm that it has what it took: by storage commitment, or by a query; see docs/delivery.md.",
    )
    confirm_s: Annotated[float, Field(ge=1, le=604800)] = Field(
        default=600,
        description="Time after which it is asked again if it has not confirmed; after the twelfth request the delivery fails for good.",
    )
    max_attempts: Annotated[int, Field(ge=1, le=10000)] = Field(
        default=400,
        description="Failed attempts after which a delivery fails for good; 400 last for about a week.",
    )
    timeout_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60, description="How long to wait for it to connect or to answer."
    )


class Peer(Destination, Sender):
    """A DICOM application with an address: a destination, an archive, a sender that results are returned to."""

    host: Host = Field(description="Host name or address of the peer.")
    port: Port = Field(description="TCP port of the peer.")
    answers_queries: bool = Field(
        default=False, description="As a sender, it is asked by C-FIND how many images a series has."
    )
    tls: TlsSettings | None = Field(
        default=None, description="TLS to the peer; absent: none, or for https the system's authorities."
    )

    @model_validator(mode="after")
    def _authorities_are_named(self) -> Self:
        if self.tls is not None:
            self.tls.with_ca()
        return self


class WebDestination(Destination):
    """A DICOMweb server that objects are sent to by STOW-RS."""

    url: Url = Field(
        description="Base URL of its DICOMweb service, in front of /studies; no user, query or fragment."
    )
    allow_http: bool = Field(
        default=False, description="Send over plain http; images and credentials can be read on the way."
    )
    token_file: Path | None = Field(
        default=None, description="File with a bearer token; read for each request."
    )
    user: str | None = Field(
        default=None, min_length=1, max_length=128, description="User for Basic authentication."
    )
    password_file: Path | None = Field(default=None, description="File with the password of `user`.")
    tls: TlsSettings | None = Field(
        default=None, description="TLS to the peer; absent: none, or for https the system's authorities."
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        is_plain = self.url.startswith("http://")
        if is_plain and not self.allow_http:
            raise ValueError("url is http://; allowed: https://, or http:// with allow_http = true")
        if is_plain and self.tls is not None:
            raise ValueError("tls is for https://, url is http://")
        if self.token_file and self.user:
            raise ValueError("token_file and user: give only one of the two")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file: give both or none")
        if self.confirm is Confirm.COMMITMENT:
            raise ValueError("confirm = commitment is for DIMSE only; allowed for DICOMweb: none, query")
        return self


def _kind_of_peer(value: Any) -> str:
    """Tell the kind of an entry by its keys: a URL, only those of a sender, or those of a DICOM application."""
    if not isinstance(value, dict):
        return (
            "web" if isinstance(value, WebDestination) else "dicom" if isinstance(value, Peer) else "sender"
        )
    if "url" in value:
        return "web"
    return "sender" if "ae_title" in value and value.keys() <= Sender.model_fields.keys() else "dicom"


AnyPeer = Annotated[
    Annotated[Peer, Tag("dicom")] | Annotated[WebDestination, Tag("web")] | Annotated[Sender, Tag("sender")],
    Discriminator(_kind_of_peer),
]
PEER_KINDS = frozenset({"dicom", "web", "sender"})
"""The tags that pydantic puts into an error's location; they are not part of a key."""
