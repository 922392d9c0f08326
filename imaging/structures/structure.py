"""What a structure is: its name, its codes, how it is drawn, its side, and its partner on the other side."""

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
    """A coded concept: its value, its scheme's designator, and its meaning."""

    value: str
    scheme: str
    meaning: str


class Laterality(StrEnum):
    """The side of a structure that the patient has on both sides."""

    LEFT = "L"
    RIGHT = "R"


@dataclass(frozen=True, kw_only=True)
class Structure:
    """One structure: its catalogue code, its TG-263 name (at most 16 characters), colour and type.

    ``concept`` is the code that a structure set carries: the FMA code of TG-263's table, else SNOMED CT. ``snomed`` is
    the code of PS3.16, without a side where ``laterality`` states it; ``partner`` is the catalogue code of the
    structure that takes its place in a left-right mirror image.
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
