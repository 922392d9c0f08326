"""The block ``tls``: one spelling for every connection with TLS, out and in."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from service.config.section import SettingsSection


class TlsProfile(StrEnum):
    """Which protocol versions and cipher suites are accepted (PS3.15 Annex B; docs/security.md has the suites)."""

    BCP195 = "bcp195"
    TLS13 = "tls13"


class TlsSettings(SettingsSection):
    """Certificates and protocol of one connection; the section that holds the block says which keys it needs."""

    ca: Path | None = Field(
        default=None,
        description="PEM file of the authorities that sign the other side's certificate; absent: the system's, if allowed here.",
    )
    certificate: Path | None = Field(
        default=None,
        description="PEM file of the node's own certificate, with its chain; for a client: mutual authentication.",
    )
    key: Path | None = Field(default=None, description="PEM file of its private key.")
    key_passphrase_file: Path | None = Field(
        default=None, description="File with the passphrase of the private key; absent: it has none."
    )
    check_host: bool = Field(
        default=True, description="Require that a server's certificate names its host; not for a listener."
    )
    profile: TlsProfile = Field(
        default=TlsProfile.BCP195, description="Protocol versions and cipher suites; see docs/security.md."
    )

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self

    def for_listener(self) -> Self:
        """Return the block if a server can use it: with a certificate, without ``check_host``."""
        if self.certificate is None:
            raise ValueError("tls needs certificate and key here")
        if "check_host" in self.model_fields_set:
            raise ValueError("tls.check_host is for connections that the node opens")
        return self

    def with_ca(self) -> Self:
        """Return the block if it names the authorities that the other side's certificate is checked against."""
        if self.ca is None:
            raise ValueError("tls needs ca here: the authorities that sign the other side's certificate")
        return self
