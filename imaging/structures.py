"""The structure catalogue: what a code is called, how it is drawn, and what kind of thing it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


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


@dataclass(frozen=True, kw_only=True)
class Structure:
    """One structure: its catalogue code, its TG-263 name (at most 16 characters), colour and type."""

    code: str
    name: str
    colour_rgb: tuple[int, int, int]
    interpreted_type: InterpretedType
    concept: Code | None


def _organ(code: str, name: str, colour_rgb: tuple[int, int, int], fma: str, meaning: str) -> Structure:
    concept = Code(value=fma, scheme="FMA", meaning=meaning)
    return Structure(
        code=code, name=name, colour_rgb=colour_rgb, interpreted_type=InterpretedType.ORGAN, concept=concept
    )


_ORGANS = (
    _organ("Brainstem", "Brainstem", (0, 160, 255), "79876", "Brainstem"),
    _organ("SpinalCord", "SpinalCord", (255, 220, 0), "7647", "Spinal cord"),
    _organ("Parotid_R", "Parotid_R", (255, 96, 160), "59797", "Right parotid gland"),
    _organ("Parotid_L", "Parotid_L", (160, 96, 255), "59798", "Left parotid gland"),
    _organ("Larynx", "Larynx", (0, 210, 150), "55097", "Larynx"),
    _organ("Mandible", "Bone_Mandible", (255, 140, 40), "52748", "Mandible"),
    _organ("Esophagus", "Esophagus", (150, 220, 60), "7131", "Esophagus"),
)

CATALOGUE: Mapping[str, Structure] = MappingProxyType({s.code: s for s in _ORGANS})
