"""Settings: the only reader of the settings file and of the environment."""

from service.config.audit import AuditSettings, SyslogSettings, SyslogTransport
from service.config.checks import Doubted
from service.config.document import SettingLine, setting_lines
from service.config.listeners import Sender, TlsServerSettings
from service.config.load import SettingsRefused, load_settings, process_environment
from service.config.monitor import (
    MailSecurity,
    MailSettings,
    MonitorSettings,
    NotifyEvent,
    NotifySettings,
    WebhookSettings,
)
from service.config.node import DatabaseSettings, DatabaseUrl, LogFormat, LogLevel, NodeSettings
from service.config.retention import RetentionSettings
from service.config.rules import (
    CompanionObject,
    Implausible,
    OnFailure,
    OtherRegion,
    Rule,
    SeriesFacts,
    SplitSeries,
)
from service.config.secrets import SecretMissing, read_secret
from service.config.settings import (
    AssembleSettings,
    ReceiveSettings,
    SendSettings,
    Settings,
    TritonSettings,
    WorkSettings,
)
from service.config.study_requirements import AfterWaiting, WaitFor
from service.config.tls import TlsClientSettings, TlsProfile
from service.config.values import Confirm, Destination, ObjectFamily, Peer, ProfileName
from service.config.web import WebDestination

__all__ = [
    "AfterWaiting",
    "AssembleSettings",
    "AuditSettings",
    "CompanionObject",
    "Confirm",
    "DatabaseSettings",
    "DatabaseUrl",
    "Destination",
    "Doubted",
    "Implausible",
    "LogFormat",
    "LogLevel",
    "MailSecurity",
    "MailSettings",
    "MonitorSettings",
    "NodeSettings",
    "NotifyEvent",
    "NotifySettings",
    "ObjectFamily",
    "OnFailure",
    "OtherRegion",
    "Peer",
    "ProfileName",
    "ReceiveSettings",
    "RetentionSettings",
    "Rule",
    "SecretMissing",
    "SendSettings",
    "Sender",
    "SeriesFacts",
    "SettingLine",
    "Settings",
    "SettingsRefused",
    "SplitSeries",
    "SyslogSettings",
    "SyslogTransport",
    "TlsClientSettings",
    "TlsProfile",
    "TlsServerSettings",
    "TritonSettings",
    "WaitFor",
    "WebDestination",
    "WebhookSettings",
    "WorkSettings",
    "load_settings",
    "process_environment",
    "read_secret",
    "setting_lines",
]
