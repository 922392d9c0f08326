"""The audit trail: what it records, and the repository that it is forwarded to."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from service.config.section import SettingsSection
from service.config.tls import TlsSettings
from service.config.values import Host, Port


class SyslogTransport(StrEnum):
    """How audit messages are sent: RFC 5425, RFC 6587 with octet counting, RFC 5426."""

    TLS = "tls"
    TCP = "tcp"
    UDP = "udp"


class SyslogSettings(SettingsSection):
    """The audit record repository."""

    host: Host = Field(description="Host name or address of the audit record repository.")
    port: Port = Field(default=6514, description="Its port: usually 6514 for TLS, otherwise 514.")
    transport: SyslogTransport = Field(
        default=SyslogTransport.TLS, description="How messages are sent; only TLS encrypts them."
    )
    tls: TlsSettings | None = Field(default=None, description="TLS to the repository.")

    @model_validator(mode="after")
    def _transport_has_its_settings(self) -> Self:
        if (self.transport is SyslogTransport.TLS) != (self.tls is not None):
            raise ValueError(
                "transport = 'tls' needs a section tls with at least ca; other transports have none"
            )
        if self.tls is not None:
            self.tls.with_ca()
        return self


class AuditSettings(SettingsSection):
    """What the audit trail records, and where it is forwarded to."""

    source_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[!-~]+$")] = Field(
        default="CONTOURNODE", description="Name of this node in audit messages (AuditSourceID)."
    )
    site_id: Annotated[str, Field(max_length=64, pattern=r"^[!-~]*$")] = Field(
        default="", description="Name of the site in audit messages (AuditEnterpriseSiteID); empty: none."
    )
    patient_ids: bool = Field(
        default=False, description="Record Patient ID (0010,0020) in the trail; otherwise only study UIDs."
    )
    syslog: SyslogSettings | None = Field(
        default=None, description="Where the trail is forwarded to; absent: it is only kept in the database."
    )
