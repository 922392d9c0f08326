"""The web page: where it is served, and to whom."""

import ipaddress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from service.config.section import SettingsSection
from service.config.tls import TlsSettings
from service.config.values import Host, ListeningPort


def _network(value: str) -> str:
    """Return the value if it is an address or a network."""
    ipaddress.ip_network(value)
    return value


def _issuer(value: str) -> str:
    """Return the address if tokens and secrets are protected on the way to it."""
    parts = urlsplit(value)
    is_here = parts.hostname is not None and _is_loopback(parts.hostname)
    if not parts.hostname or parts.query or parts.fragment or not (parts.scheme == "https" or is_here):
        raise ValueError("it must be https://..., without ? and #")
    return value


Text = Annotated[str, Field(min_length=1, max_length=255)]
Network = Annotated[str, AfterValidator(_network)]


class ProxySettings(SettingsSection):
    """A reverse proxy that people come through."""

    addresses: tuple[Network, ...] = Field(
        min_length=1, description="Addresses or networks that the proxy's connections come from."
    )
    user_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")] | None = Field(
        default=None,
        description="Header with the name of the user whom the proxy signed in; absent: people sign in to the page.",
    )
    secret_file: Path | None = Field(
        default=None,
        description="File with the secret that the proxy sends as X-Proxy-Secret; required with user_header.",
    )

    @model_validator(mode="after")
    def _a_name_needs_a_secret(self) -> Self:
        if (self.user_header is None) != (self.secret_file is None):
            raise ValueError("user_header and secret_file: give both or none")
        return self


class GroupRight(StrEnum):
    """What the web page lets the members of a provider's group do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    PHYSICIST = "physicist"
    PATIENTS = "patients"


class OidcSettings(SettingsSection):
    """An OpenID provider at which people sign in."""

    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        description="Address of the provider, exactly as its tokens name it (`iss`); https, or this machine."
    )
    client_id: Text = Field(description="Name under which the provider knows the node.")
    secret_file: Path = Field(description="File with the secret that belongs to client_id.")
    groups_claim: Text = Field(default="groups", description="Claim of the ID token with a person's groups.")
    roles: dict[str, tuple[GroupRight, ...]] = Field(
        min_length=1,
        description="What each group may do: viewer, operator or physicist, and patients to see who they are.",
    )


class WebSettings(SettingsSection):
    """The web page and its API."""

    enabled: bool = Field(default=True, description="Run the role web as part of `serve`.")
    host: Host = Field(default="127.0.0.1", description="Address on which the page is served.")
    port: ListeningPort = Field(
        default=9181, description="TCP port on which the page is served; 0: any free one."
    )
    names: tuple[Host, ...] = Field(
        default=(), description="Host names by which browsers reach the page, apart from its address."
    )
    tls: TlsSettings | None = Field(
        default=None, description="TLS on the page; absent: HTTP, on this machine or behind a proxy only."
    )
    proxy: ProxySettings | None = Field(
        default=None, description="The reverse proxy that people come through; absent: none."
    )

    oidc: OidcSettings | None = Field(
        default=None, description="An OpenID provider at which people sign in; absent: none."
    )
    session_keeps_address: bool = Field(
        default=True,
        description="A session used at another address than it was opened at ends, as if stolen; false: where one "
        "person's requests come from several addresses.",
    )
    rules_need_two: bool = Field(
        default=False,
        description="Rules that one person wrote become active only when another person activates them; see docs/rules.md.",
    )

    @model_validator(mode="after")
    def _passwords_travel_protected(self) -> Self:
        if self.tls is not None and self.tls.for_listener().ca is not None:
            raise ValueError("tls.ca is not used here: people sign in by name, not by certificate")
        if self.tls is None and self.proxy is None and not _is_loopback(self.host):
            raise ValueError(
                f"host {self.host} can be reached by others, and the page would be unprotected: give web.tls or "
                "web.proxy, or host 127.0.0.1"
            )
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
