"""Settings: the only reader of the settings file and of the environment."""

from service.config.document import SettingLine, setting_lines
from service.config.keep import KeepSettings
from service.config.load import SettingsRefused, load_settings, process_environment
from service.config.rules import Beside, OnFailure, Rule, SeriesFacts
from service.config.settings import (
    AssembleSettings,
    DatabaseSettings,
    DatabaseUrl,
    LogLevel,
    NodeSettings,
    ReceiveSettings,
    SendSettings,
    Settings,
    TritonSettings,
    WorkSettings,
)
from service.config.values import Confirm, Destination, Peer, ProfileName
from service.config.web import WebDestination

__all__ = [
    "AssembleSettings",
    "Beside",
    "Confirm",
    "DatabaseSettings",
    "DatabaseUrl",
    "Destination",
    "KeepSettings",
    "LogLevel",
    "NodeSettings",
    "OnFailure",
    "Peer",
    "ProfileName",
    "ReceiveSettings",
    "Rule",
    "SendSettings",
    "SeriesFacts",
    "SettingLine",
    "Settings",
    "SettingsRefused",
    "TritonSettings",
    "WebDestination",
    "WorkSettings",
    "load_settings",
    "process_environment",
    "setting_lines",
]
