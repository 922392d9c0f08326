"""TLS to a peer, and the TLS profiles of both directions."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from service.config.section import SettingsSection


class TlsProfile(StrEnum):
    """Which protocol versions and cipher suites are agreed to (PS3.15 Annex B; docs/security.md has the suites)."""

    BCP195 = "bcp195"
    TLS13 = "tls13"


class TlsClientSettings(SettingsSection):
    """TLS to a peer."""

    ca: Path = Field(description="PEM file of the authorities that sign the peer's certificate.")
    certificate: Path | None = Field(
        default=None, description="PEM file of the node's own certificate, for mutual authentication."
    )
    key: Path | None = Field(default=None, description="PEM file of its private key.")
    key_passphrase_file: Path | None = Field(
        default=None, description="File with the passphrase of the private key; absent: it has none."
    )
    check_host: bool = Field(default=True, description="Require that the peer's certificate names its host.")
    profile: TlsProfile = Field(
        default=TlsProfile.BCP195, description="Protocol versions and cipher suites; see docs/security.md."
    )

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both or neither")
        return self
