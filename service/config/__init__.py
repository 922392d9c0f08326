"""Settings: the only reader of the settings file and of the environment."""

from service.config.document import SettingLine, setting_lines
from service.config.load import SettingsRefused, load_settings, process_environment
from service.config.rules import Beside, Rule, SeriesFacts
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
from service.config.values import Peer, ProfileName

__all__ = [
    "AssembleSettings",
    "Beside",
    "DatabaseSettings",
    "DatabaseUrl",
    "LogLevel",
    "NodeSettings",
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
    "WorkSettings",
    "load_settings",
    "process_environment",
    "setting_lines",
]
