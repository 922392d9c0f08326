"""What a rule may wait for: other series of the same study."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from service.config.values import Regex, SettingsSection


class AfterWaiting(StrEnum):
    """What happens to a complete series if the series that it waits for do not come."""

    CONTOUR = "contour"
    REFUSE = "refuse"


class WaitFor(SettingsSection):
    """Series that must be complete in the same study before a series is contoured.

    The series itself counts if it matches.
    """

    series_description: Regex | None = Field(
        default=None,
        description="Regular expression (case ignored) found in Series Description (0008,103E); absent: any.",
    )
    modality: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,16}$")] | None = Field(
        default=None, description="Modality (0008,0060), such as CT or MR; absent: any."
    )
    count: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1,
        description="How many such series must be complete; the series itself counts if it matches.",
    )

    @property
    def words(self) -> str:
        """What is waited for, in words."""
        matching = "" if self.series_description is None else f" matching {self.series_description!r}"
        return f"series{matching}{'' if self.modality is None else f' of {self.modality}'}"
