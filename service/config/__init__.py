"""Settings: the only reader of the settings file and of the environment."""

from service.config.audit import AuditSettings, SyslogSettings, SyslogTransport
from service.config.document import SettingLine, setting_lines
from service.config.doors import Sender, TlsIn
from service.config.keep import KeepSettings
from service.config.load import SettingsRefused, load_settings, process_environment
from service.config.rules import Beside, Implausible, OnFailure, OtherRegion, Rule, SeriesFacts
from service.config.secrets import SecretMissing, read_secret
from service.config.settings import (
    AssembleSettings,
    DatabaseSettings,
    DatabaseUrl,
    LogFormat,
    LogLevel,
    NodeSettings,
    ReceiveSettings,
    SendSettings,
    Settings,
    TritonSettings,
    WorkSettings,
)
from service.config.tls import TlsOut, TlsProfile
from service.config.values import Confirm, Destination, Peer, ProfileName
from service.config.waiting import AfterWaiting, WaitFor
from service.config.watch import (
    MailSecurity,
    MailSettings,
    NotifyEvent,
    NotifySettings,
    WatchSettings,
    WebhookSettings,
)
from service.config.web import WebDestination

__all__ = [
    "AfterWaiting",
    "AssembleSettings",
    "AuditSettings",
    "Beside",
    "Confirm",
    "DatabaseSettings",
    "DatabaseUrl",
    "Destination",
    "Implausible",
    "KeepSettings",
    "LogFormat",
    "LogLevel",
    "MailSecurity",
    "MailSettings",
    "NodeSettings",
    "NotifyEvent",
    "NotifySettings",
    "OnFailure",
    "OtherRegion",
    "Peer",
    "ProfileName",
    "ReceiveSettings",
    "Rule",
    "SecretMissing",
    "SendSettings",
    "Sender",
    "SeriesFacts",
    "SettingLine",
    "Settings",
    "SettingsRefused",
    "SyslogSettings",
    "SyslogTransport",
    "TlsIn",
    "TlsOut",
    "TlsProfile",
    "TritonSettings",
    "WaitFor",
    "WatchSettings",
    "WebDestination",
    "WebhookSettings",
    "WorkSettings",
    "load_settings",
    "process_environment",
    "read_secret",
    "setting_lines",
]
