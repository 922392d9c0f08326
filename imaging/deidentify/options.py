"""Which options of the profile are applied, and how an object says so (PS3.16 CID 7050)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pydicom import Dataset


@dataclass(frozen=True, kw_only=True)
class DeidentificationOptions:
    """The options of PS3.15 E.3 applied with the Basic Profile, and what a person vouches for."""

    modified_dates: bool = (
        True  # E.3.6: dates are kept, all of a patient's shifted by the same number of days
    )
    patient_characteristics: bool = True  # E.3.7: age, sex, size, weight, ...; ages over 89 become 90
    clean_descriptors: bool = True  # E.3.5: ROI names are kept where they are known to be harmless
    harmless_names: frozenset[str] = (
        frozenset()
    )  # ROI names that a person has checked, besides the catalogue's
    allow_burned_in: bool = False  # a person has checked the pixels

    def codes(self) -> Iterator[Dataset]:
        """Yield the items of De-identification Method Code Sequence (0012,0064)."""
        yield _code("113100", "Basic Application Confidentiality Profile")
        if self.clean_descriptors:
            yield _code("113105", "Clean Descriptors Option")
        if self.modified_dates:
            yield _code("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
        if self.patient_characteristics:
            yield _code("113108", "Retain Patient Characteristics Option")


@cache
def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "DCM"
    item.CodeMeaning = meaning
    return item
