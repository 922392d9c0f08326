"""Reads catalogue.csv, one line per structure.

Columns: ``code`` of contracts and masks; ``name`` that goes out, with ``tg263`` telling whether it stands in TG-263's
table of primary names or only follows its rules; DICOM ``type``; ``colour_rgb``; ``side`` and ``partner``; ``sct``, the
code of PS3.16 (a test looks each up in pydicom's copy); ``fma``, as TG-263's table states it, left out where its sides
contradict each other; ``aliases`` without sides, in lower case, and the names in TotalSegmentator's tasks, both
separated by ``|``. An empty cell means that no code is known for certain: none is invented.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from imaging.structures.structure import Code, InterpretedType, Laterality, Structure

_TABLE = Path(__file__).with_name("catalogue.csv")


def _rows() -> list[dict[str, str]]:
    with _TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _structure(row: Mapping[str, str]) -> Structure:
    fma, snomed = _code(row, "fma"), _code(row, "sct")
    red, green, blue = (int(channel) for channel in row["colour_rgb"].split())
    return Structure(
        code=row["code"],
        name=row["name"],
        colour_rgb=(red, green, blue),
        interpreted_type=InterpretedType(row["type"]),
        concept=fma or snomed,
        snomed=snomed,
        laterality=Laterality(row["side"]) if row["side"] else None,
        partner=row["partner"] or None,
        aliases=tuple(alias for alias in row["aliases"].split("|") if alias),
        is_tg263=row["tg263"] == "yes",
    )


def _code(row: Mapping[str, str], scheme: str) -> Code | None:
    if not row[scheme]:
        return None
    return Code(value=row[scheme], scheme=scheme.upper(), meaning=row[f"{scheme}_meaning"])


CATALOGUE: Mapping[str, Structure] = MappingProxyType({row["code"]: _structure(row) for row in _rows()})

# Catalogue codes by TotalSegmentator's class names.
TOTALSEGMENTATOR: Mapping[str, str] = MappingProxyType(
    {name: row["code"] for row in _rows() for name in row["totalsegmentator"].split("|") if name}
)
