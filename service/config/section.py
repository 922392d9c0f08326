"""The base class of every part of the settings tree."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

SETTINGS_FOLDER = "settings_folder"
"""The key of the validation context under which the folder of the settings file is passed."""


class SettingsSection(BaseModel):
    """A part of the settings tree: frozen, unknown keys refused, defaults checked like given values."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=False)

    @field_validator("*")
    @classmethod
    def _beside_the_settings_file(cls, value: Any, info: ValidationInfo) -> Any:
        """Resolve a relative path against the folder of the settings file, never against the working directory."""
        folder = (info.context or {}).get(SETTINGS_FOLDER)
        return folder / value if folder is not None and isinstance(value, Path) else value
