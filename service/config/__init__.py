"""Settings: the only reader of the settings file and of the environment."""

from service.config.advanced import AdvancedSettings
from service.config.audit import AuditSettings, SyslogSettings, SyslogTransport
from service.config.checks import Doubted
from service.config.document import SettingLine, setting_lines
from service.config.first_file import settings_file_text
from service.config.load import SettingsRefused, load_settings, process_environment, read_tree, settings_of
from service.config.loose_files import loose_files
from service.config.monitor import (
    MailSecurity,
    MailSettings,
    MonitorSettings,
    NotifyEvent,
    NotifySettings,
    WebhookSettings,
)
from service.config.node import DatabaseSettings, DatabaseUrl, LogFormat, LogLevel, NodeSettings
from service.config.peers import AnyPeer, Confirm, Destination, Peer, ProfileName, Sender, WebDestination
from service.config.renamed import migrate as migrate_tree
from service.config.retention import RetentionSettings
from service.config.rules import (
    CompanionObject,
    Implausible,
    JobPurpose,
    OnFailure,
    OtherRegion,
    Rule,
    SeriesFacts,
    SplitSeries,
)
from service.config.secrets import SecretMissing, read_secret
from service.config.settings import (
    TLS_PORT,
    Admit,
    AssembleSettings,
    ReceiveSettings,
    SendSettings,
    Settings,
    WorkSettings,
)
from service.config.shipped import shipped, shipped_models, triton_environment
from service.config.study_requirements import AfterWaiting, WaitFor
from service.config.tls import TlsProfile, TlsSettings
from service.config.triton import TritonSettings
from service.config.values import ObjectFamily
from service.config.web import OidcSettings
from service.config.web import ProxySettings as ProxySettings
from service.config.web import WebSettings as WebSettings

__all__ = [
    "TLS_PORT",
    "Admit",
    "AdvancedSettings",
    "AfterWaiting",
    "AnyPeer",
    "AssembleSettings",
    "AuditSettings",
    "CompanionObject",
    "Confirm",
    "DatabaseSettings",
    "DatabaseUrl",
    "Destination",
    "Doubted",
    "Implausible",
    "JobPurpose",
    "LogFormat",
    "LogLevel",
    "MailSecurity",
    "MailSettings",
    "MonitorSettings",
    "NodeSettings",
    "NotifyEvent",
    "NotifySettings",
    "ObjectFamily",
    "OidcSettings",
    "OnFailure",
    "OtherRegion",
    "Peer",
    "ProfileName",
    "ProxySettings",
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
    "TlsProfile",
    "TlsSettings",
    "TritonSettings",
    "WaitFor",
    "WebDestination",
    "WebSettings",
    "WebhookSettings",
    "WorkSettings",
    "load_settings",
    "loose_files",
    "migrate_tree",
    "process_environment",
    "read_secret",
    "read_tree",
    "setting_lines",
    "settings_file_text",
    "settings_of",
    "shipped",
    "shipped_models",
    "triton_environment",
]
