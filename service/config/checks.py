"""What a clinic may decide about the checks before inference."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from service.config.section import SettingsSection

RescaleType = Annotated[str, Field(pattern=r"^[A-Za-z0-9_ ]{1,16}$")]


class Doubted(StrEnum):
    """What happens to a series whose values are doubtful."""

    REFUSE = "refuse"
    NOTE = "note"


class ChecksSettings(SettingsSection):
    """What images may say of themselves and still be contoured."""

    rescale_types: tuple[RescaleType, ...] = Field(
        default=("US",),
        description="Values of Rescale Type (0028,1054) besides HU that are taken as Hounsfield units; the history then says so.",
    )
