"""How long things are kept, how full the disk may get, and how often files are verified."""

from typing import Annotated

from pydantic import Field

from service.config.section import SettingsSection

Days = Annotated[float, Field(ge=0, le=36500)]
Percent = Annotated[float, Field(ge=0, le=99)]


REFUSE_BYTES, REFUSE_PERCENT = 1 << 30, 1.0
"""Free space below which nothing new is accepted if the settings do not say; the larger of the two counts."""


class RetentionSettings(SettingsSection):
    """What may be removed and when; nothing is before its job has ended and its results have been delivered."""

    done_images_days: Days | None = Field(
        default=30, description="Images of delivered jobs are removed after this long; absent: never."
    )
    ended_images_days: Days | None = Field(
        default=30,
        description="Images of refused, cancelled and superseded jobs are removed after this long; absent: never.",
    )
    other_objects_days: Days | None = Field(
        default=30,
        description="Objects that open no job (RT Dose, MR, ...) are removed after this long; absent: never.",
    )
    results_days: Days | None = Field(
        default=90,
        description="What was made for a job is removed this long after its delivery; absent: never.",
    )
    refuse_below_free_bytes: Annotated[int, Field(ge=0, le=1 << 50)] | None = Field(
        default=None,
        description="With less free space than this, new objects are refused (0xA700) and no job is started; absent: 1 GiB, "
        "or 1 percent of the file system if that is more.",
    )
    warn_below_free_percent: Percent = Field(
        default=10, description="With less free space than this part of the file system, the log warns."
    )
    make_room: bool = Field(
        default=False,
        description="Below the warning level, remove images of delivered jobs before their time, oldest first.",
    )
    verify_days: Annotated[float, Field(ge=0.001, le=3650)] | None = Field(
        default=30,
        description="Every stored file is read and compared with its checksum this often, 20 MB a second; absent: never.",
    )

    def refused_below(self, size_bytes: float) -> float:
        """Return the free space, in bytes, below which nothing new is accepted on a file system of this size."""
        if self.refuse_below_free_bytes is not None:
            return self.refuse_below_free_bytes
        return max(REFUSE_BYTES, REFUSE_PERCENT / 100 * size_bytes)

    def warned_below(self, size_bytes: float) -> float:
        """Return the free space, in bytes, below which a file system of this size is nearly full."""
        return self.warn_below_free_percent / 100 * size_bytes
