"""What researchers need and nobody can be identified by: the names of structures (PS3.15 E.3.5, Clean Descriptors)."""

import re
from collections.abc import Mapping

from pydicom import Dataset

from imaging.deidentify.identifiers import IdentifyingWords
from imaging.deidentify.options import DeidentificationOptions
from imaging.structures import CATALOGUE

# What may follow the kind of a target (AAPM TG-263): primary, node, metastasis, surgical bed, vessel, ...; never a
# name.
_TARGET = re.compile(
    r"(GTV|CTV|ITV|PTV)(p|n|m|par|sb|v|vas|l|r|tot|opt|ev|eval)?[0-9]{0,2}(_[0-9]{2,5})?", re.IGNORECASE
)
_OUTLINE = frozenset({"external", "body"})
# Names of structures, and what they are numbered by.
NAMES: Mapping[int, tuple[str, str]] = {
    0x30060026: ("ROI", "ROINumber"),
    0x00620005: ("Segment", "SegmentNumber"),
}
_HARMLESS = _OUTLINE | {name.casefold() for s in CATALOGUE.values() for name in (s.code, s.name)}


def is_harmless(name: str, options: DeidentificationOptions) -> bool:
    """Tell whether a structure's name comes from anatomy or from the field's terms, or was vouched for by a person."""
    bare = name.strip()
    return bare.casefold() in _HARMLESS or bool(_TARGET.fullmatch(bare)) or bare in options.harmless_names


def clean_name(item: Dataset, tag: int, options: DeidentificationOptions, whom: IdentifyingWords) -> None:
    """Keep a structure's name where it is harmless, else replace it with the structure's number."""
    text = str(item[tag].value or "")
    if not (options.clean_descriptors and is_harmless(text, options) and not whom.named_in(text)):
        word, number = NAMES[tag]
        item[tag].value = f"{word} {item.get(number, '')}".strip()
