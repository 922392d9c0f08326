"""The codes for structures: SNOMED CT as DICOM uses it, else the catalogue's own code, else a private one.

The SNOMED codes of structures are in the catalogue; a test looks each up in pydicom's copy of the standard. No
code is guessed: a structure without one gets a code of this project's private scheme.
"""

from dataclasses import dataclass

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept

from imaging.structures import CATALOGUE, Code, InterpretedType, Laterality, Structure

PRIVATE_SCHEME = "99CONTOURNODE"

ANATOMICAL_STRUCTURE = Code(value="91723000", scheme="SCT", meaning="Anatomical Structure")
ABNORMAL_STRUCTURE = Code(value="49755003", scheme="SCT", meaning="Morphologically Abnormal Structure")
SPATIAL_CONCEPT = Code(value="309825002", scheme="SCT", meaning="Spatial and Relational Concept")
PHYSICAL_OBJECT = Code(value="260787004", scheme="SCT", meaning="Physical object")
RIGHT = Code(value="24028007", scheme="SCT", meaning="Right")
LEFT = Code(value="7771000", scheme="SCT", meaning="Left")
VOLUME = Code(value="118565006", scheme="SCT", meaning="Volume")
ABSENT = Code(value="272519000", scheme="SCT", meaning="Absent")
PRESENCE = Code(value="121052", scheme="DCM", meaning="Presence of property")
COMMENT = Code(value="121106", scheme="DCM", meaning="Comment")
ARTIFICIAL_INTELLIGENCE = Code(value="123110", scheme="DCM", meaning="Artificial Intelligence")
SEGMENTATION = Code(value="113076", scheme="DCM", meaning="Segmentation")
SOURCE_IMAGE = Code(value="121322", scheme="DCM", meaning="Source image for image processing operation")
MAGNETIC_RESONANCE = Code(value="MR", scheme="DCM", meaning="Magnetic Resonance")
CT_OF_ANY_REGION = Code(value="25045-6", scheme="LN", meaning="CT unspecified body region")
QUALITATIVE_EVALUATIONS = Code(value="C0034375", scheme="UMLS", meaning="Qualitative Evaluations")
ENGLISH = Code(value="en", scheme="RFC5646", meaning="English")
CUBIC_CENTIMETRE = Code(value="cm3", scheme="UCUM", meaning="cubic centimeter")
NO_UNITS = Code(value="1", scheme="UCUM", meaning="no units")
MEAN_PROBABILITY = Code(
    value="MEAN-PROBABILITY", scheme=PRIVATE_SCHEME, meaning="Mean probability inside the segment"
)

_SIDES: dict[Laterality | None, Code | None] = {Laterality.RIGHT: RIGHT, Laterality.LEFT: LEFT, None: None}
_BY_CONCEPT = {
    (known.concept.scheme, known.concept.value): known
    for known in CATALOGUE.values()
    if known.concept is not None and known.concept.scheme == "FMA"
}
_ANATOMY = frozenset({InterpretedType.ORGAN, InterpretedType.EXTERNAL, InterpretedType.CAVITY})
_OBJECTS = frozenset(
    {
        InterpretedType.BOLUS,
        InterpretedType.MARKER,
        InterpretedType.BRACHY_CHANNEL,
        InterpretedType.BRACHY_ACCESSORY,
        InterpretedType.BRACHY_SRC_APP,
        InterpretedType.BRACHY_CHNL_SHLD,
        InterpretedType.SUPPORT,
        InterpretedType.FIXATION,
        InterpretedType.DOSE_MEASUREMENT,
    }
)


@dataclass(frozen=True, kw_only=True)
class Property:
    """A structure as a segmentation and a report name it: its category, its type, and its side."""

    category: Code
    type: Code
    laterality: Code | None

    @property
    def is_anatomy(self) -> bool:
        """Whether it is a part of the body, so that it may be a finding site."""
        return self.category == ANATOMICAL_STRUCTURE


def property_of(structure: Structure) -> Property:
    """Return the codes of a structure.

    A private code, with the catalogue's name as its meaning, where the catalogue has none.
    """
    concept = structure.concept
    known = _BY_CONCEPT.get((concept.scheme, concept.value)) if concept else None
    kind, laterality = concept or _private(structure), None
    if known is not None and known.snomed is not None:
        kind, laterality = known.snomed, _SIDES[known.laterality]
    elif concept is not None and concept == structure.snomed:
        laterality = _SIDES[structure.laterality]
    return Property(category=_category(structure.interpreted_type), type=kind, laterality=laterality)


def coded(code: Code) -> CodedConcept:
    """Return a code in highdicom's form."""
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def private_scheme() -> CodingSchemeIdentificationItem:
    """Return the definition of the private scheme's designator.

    It is an item of Coding Scheme Identification Sequence (PS3.3 C.12.1.1).
    """
    return CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME,
        name="Contour Node private codes",
        responsible_organization="Contour Node",
    )


def _category(kind: InterpretedType) -> Code:
    if kind in _ANATOMY:
        return ANATOMICAL_STRUCTURE
    if kind in _OBJECTS:
        return PHYSICAL_OBJECT
    return ABNORMAL_STRUCTURE if kind is InterpretedType.GTV else SPATIAL_CONCEPT


def _private(structure: Structure) -> Code:
    return Code(value=structure.code, scheme=PRIVATE_SCHEME, meaning=structure.name)
