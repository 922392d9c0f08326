"""The listeners: the list of senders, and TLS."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from service.config.section import SettingsSection
from service.config.tls import TlsProfile
from service.config.values import AeTitle, ListeningPort


def _network(value: str) -> str:
    """Give the network back in its usual spelling; a single address is a network of one."""
    try:
        return str(ipaddress.ip_network(value, strict=True))
    except ValueError as error:
        raise ValueError(f"a network is an address or address/length, as in 10.1.0.0/16: {error}") from error


def _certificate_name(value: str) -> str:
    """Give the name of a certificate back: sha256:<64 hex digits>, DNS:<name> or CN:<common name>."""
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


class Sender(SettingsSection):
    """One application that may open an association."""

    ae_title: AeTitle = Field(description="AE title it calls with.")
    networks: tuple[Network, ...] = Field(
        default=(), description="Addresses or networks (CIDR) it may come from; empty: any."
    )
    certificates: tuple[CertificateName, ...] = Field(
        default=(),
        description="Client certificates it may show (sha256:, DNS: or CN:); empty: any, or none without TLS.",
    )


class KeyPair(SettingsSection):
    """A certificate and its private key, as PEM files."""

    certificate: Path = Field(description="PEM file of the node's own certificate, with its chain.")
    key: Path = Field(description="PEM file of its private key.")
    key_passphrase_file: Path | None = Field(
        default=None, description="File with the passphrase of the private key; absent: it has none."
    )


class TlsServerSettings(KeyPair):
    """TLS on the listener."""

    port: ListeningPort = Field(default=2762, description="TCP port for DICOM over TLS; 0: any free one.")
    ca: Path | None = Field(
        default=None, description="PEM file of the authorities that sign the senders' certificates."
    )
    require_client_certificate: bool = Field(
        default=True, description="Let nobody in without a certificate signed by receive.tls.ca."
    )
    profile: TlsProfile = Field(
        default=TlsProfile.BCP195, description="Protocol versions and cipher suites; see docs/security.md."
    )
    also_plaintext: bool = Field(
        default=False,
        description="Go on listening on receive.port without TLS, while senders are moved over.",
    )

    @model_validator(mode="after")
    def _who_signs_is_known(self) -> Self:
        if self.require_client_certificate and self.ca is None:
            raise ValueError(
                "client certificates are required (mutual authentication): name the ca that signs them"
            )
        return self
