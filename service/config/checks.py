"""What a clinic may decide about the checks before a contour is drawn."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from service.config.section import SettingsSection

RescaleType = Annotated[str, Field(pattern=r"^[A-Za-z0-9_ ]{1,16}$")]


class Doubted(StrEnum):
    """What becomes of a series whose values raise a doubt."""

    REFUSE = "refuse"
    NOTE = "note"


class ChecksSettings(SettingsSection):
    """What images may say of themselves and be contoured all the same."""

    rescale_types: tuple[RescaleType, ...] = Field(
        default=("US",),
        description="Values of Rescale Type (0028,1054) beside HU that are taken for Hounsfield units; the history then says so.",
    )
