"""What a structure is: its name, its codes, how it is drawn, its side and its partner on the other one."""

from dataclasses import dataclass
from enum import StrEnum


class InterpretedType(StrEnum):
    """The defined terms of RT ROI Interpreted Type (3006,00A4), PS3.3 C.8.8.8."""

    EXTERNAL = "EXTERNAL"
    PTV = "PTV"
    CTV = "CTV"
    GTV = "GTV"
    TREATED_VOLUME = "TREATED_VOLUME"
    IRRAD_VOLUME = "IRRAD_VOLUME"
    BOLUS = "BOLUS"
    AVOIDANCE = "AVOIDANCE"
    ORGAN = "ORGAN"
    MARKER = "MARKER"
    REGISTRATION = "REGISTRATION"
    ISOCENTER = "ISOCENTER"
    CONTRAST_AGENT = "CONTRAST_AGENT"
    CAVITY = "CAVITY"
    BRACHY_CHANNEL = "BRACHY_CHANNEL"
    BRACHY_ACCESSORY = "BRACHY_ACCESSORY"
    BRACHY_SRC_APP = "BRACHY_SRC_APP"
    BRACHY_CHNL_SHLD = "BRACHY_CHNL_SHLD"
    SUPPORT = "SUPPORT"
    FIXATION = "FIXATION"
    DOSE_REGION = "DOSE_REGION"
    CONTROL = "CONTROL"
    DOSE_MEASUREMENT = "DOSE_MEASUREMENT"


@dataclass(frozen=True, kw_only=True)
class Code:
    """A coded concept: value, designator of its scheme, and meaning in words."""

    value: str
    scheme: str
    meaning: str


class Laterality(StrEnum):
    """The side of a structure of which the patient has one on each."""

    LEFT = "L"
    RIGHT = "R"


@dataclass(frozen=True, kw_only=True)
class Structure:
    """One structure: its catalogue code, its TG-263 name (at most 16 characters), colour and type.

    ``concept`` is the code that a structure set carries: FMA as TG-263's table has it, else SNOMED CT. ``snomed`` is
    the code of PS3.16, without a side where ``laterality`` states it; ``partner`` is the catalogue code that takes
    its place in a left-right mirror.
    """

    code: str
    name: str
    colour_rgb: tuple[int, int, int]
    interpreted_type: InterpretedType
    concept: Code | None
    snomed: Code | None = None
    laterality: Laterality | None = None
    partner: str | None = None
    aliases: tuple[str, ...] = ()
    is_tg263: bool = False
