"""What every part of the settings tree is."""

from pydantic import BaseModel, ConfigDict


class SettingsSection(BaseModel):
    """A part of the settings tree: frozen, unknown keys refused, defaults checked like given values."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=False)
