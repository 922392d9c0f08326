"""Monitoring: metrics, alarms, and the recipients of notifications."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from service.config.tls import TlsSettings
from service.config.values import Host, ListeningPort, Name, Port, SettingsSection


class NotifyEvent(StrEnum):
    """What people can be notified of."""

    FAILED = "failed"
    REFUSED = "refused"
    DELIVERY = "delivery"
    LATE = "late"
    DISK = "disk"
    ROLE = "role"
    PEER = "peer"
    MODEL_SERVER = "model-server"
    DAMAGED = "damaged"
    CONSTANCY = "constancy"
    IMAGES_REFUSED = "images-refused"
    RECOVERY = "recovery"
    CLOCK = "clock"
    RULES = "rules"


class MailSecurity(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


def _address(value: str) -> str:
    """Return the address if it cannot carry anything else into a message's header."""
    name, at, host = value.rpartition("@")
    if not (name and at and host) or not value.isprintable() or any(c in value for c in ' <>,;:"\\'):
        raise ValueError("an address is name@host, without spaces, brackets or quotes")
    return value


def _web_address(value: str) -> str:
    """Return the URL if it is that of a web server."""
    if not value.startswith(("https://", "http://")) or not value.isprintable() or " " in value:
        raise ValueError("a URL begins with https:// or http:// and has no spaces")
    return value


Address = Annotated[str, Field(max_length=254), AfterValidator(_address)]
WebAddress = Annotated[str, Field(max_length=2000), AfterValidator(_web_address)]


class MailSettings(SettingsSection):
    """Notifications by e-mail."""

    host: Host = Field(description="Host name of the mail server (SMTP).")
    port: Port = Field(default=587, description="TCP port of the mail server.")
    security: MailSecurity = Field(
        default=MailSecurity.STARTTLS, description="How the connection to the mail server is protected."
    )
    tls: TlsSettings | None = Field(
        default=None, description="TLS to the mail server; absent: the system's authorities."
    )
    user: str | None = Field(default=None, description="Name to log in with; absent: no login.")
    password_file: Path | None = Field(default=None, description="File with the password of mail.user.")
    sender: Address = Field(description="Address the messages come from.")
    recipients: tuple[Address, ...] = Field(min_length=1, description="Addresses the messages go to.")

    @model_validator(mode="after")
    def _login_is_whole_and_protected(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file: give both or none")
        if self.user is not None and self.security is MailSecurity.NONE:
            raise ValueError(
                "a login needs security = 'starttls' or 'tls': without it, the password would be sent unencrypted"
            )
        return self


class WebhookSettings(SettingsSection):
    """Notifications as JSON by HTTP POST."""

    url: WebAddress = Field(description="Address of the web server, https://... or http://...")
    headers_file: Path | None = Field(
        default=None,
        description="File with additional headers, one 'Name: value' per line; for example a token.",
    )
    secret_file: Path | None = Field(
        default=None,
        description="File with the key of the signature (HMAC-SHA256) in X-Contour-Node-Signature; absent: unsigned.",
    )
    tls: TlsSettings | None = Field(
        default=None, description="TLS to the web server; absent: the system's authorities."
    )


class NotifySettings(SettingsSection):
    """One recipient of notifications."""

    name: Name = Field(description="Name of the recipient in logs, metrics and the command line.")
    events: tuple[NotifyEvent, ...] = Field(
        default=(), description="Its events; see docs/monitoring.md. Empty: everything."
    )
    min_interval_s: Annotated[float, Field(ge=0, le=86400)] = Field(
        default=300,
        description="Shortest time between two messages; events in between go into the next message.",
    )
    with_patient: bool = Field(
        default=False, description="Add the Patient ID (0010,0020) to notifications about a job."
    )
    mail: MailSettings | None = Field(default=None, description="By e-mail.")
    webhook: WebhookSettings | None = Field(default=None, description="By HTTP POST.")

    @property
    def wanted(self) -> frozenset[NotifyEvent]:
        """Its events."""
        return frozenset(self.events or NotifyEvent)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.mail is None) == (self.webhook is None):
            raise ValueError(f"{self.name}: give either mail or webhook")
        open_mail = self.mail is not None and self.mail.security is MailSecurity.NONE
        open_web = self.webhook is not None and self.webhook.url.startswith("http://")
        if self.with_patient and (open_mail or open_web):
            raise ValueError(
                f"{self.name}: with_patient needs an encrypted connection: https, starttls or tls"
            )
        return self


class MonitorSettings(SettingsSection):
    """Metrics, health and notifications."""

    host: Host = Field(default="127.0.0.1", description="Address on which metrics and health are served.")
    port: ListeningPort = Field(
        default=9180, description="TCP port on which metrics and health are served; 0: any free one."
    )
    token_file: Path | None = Field(
        default=None,
        description="File with the bearer token that /metrics and /health/ready require; absent: they require none.",
    )
    tls: TlsSettings | None = Field(default=None, description="TLS on the pages; absent: HTTP without TLS.")
    echo_s: Annotated[float, Field(ge=0, le=86400)] = Field(
        default=0, description="Time between two C-ECHOs to each DICOM peer; 0: never."
    )
    receiver_host: Host | None = Field(
        default=None,
        description="Where the monitor finds the receiver; absent: receive.host, or this machine if that is 0.0.0.0.",
    )
    delivery_alarm_s: Annotated[float, Field(ge=1, le=604800)] = Field(
        default=1800, description="A destination that has not taken a delivery for this long is an alarm."
    )
    notify: tuple[NotifySettings, ...] = Field(default=(), description="The recipients of notifications.")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.tls is not None and self.tls.for_listener().ca is not None:
            raise ValueError("tls.ca is not used here: clients are asked for a token, not for a certificate")
        names = [one.name for one in self.notify]
        if len(set(names)) < len(names):
            raise ValueError("notify.name: allowed: a different name for each recipient")
        return self
