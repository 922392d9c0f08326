"""Comparisons as JSON: every metric under its full name, undefined values as null, and what each name means."""

from collections.abc import Mapping
from typing import Any

from evaluation.definitions import definitions
from evaluation.dose_comparison import DoseComparison
from evaluation.set_comparison import SetComparison
from evaluation.slices import slice_values


def comparison_json(compared: SetComparison, *, slices: bool = False) -> dict[str, Any]:
    """Return the comparison of one pair of sets: structures by common name, and everything that was not compared."""
    structures: dict[str, Any] = {}
    for name, comparison in compared.by_structure.items():
        ours, theirs = compared.names[name]
        structures[name] = {
            "name": ours,
            "reference_name": theirs,
            "state": comparison.state.value,
            "metrics": dict(comparison.values),
        }
        if slices:
            structures[name]["slices"] = slice_values(compared.pair(name))
    return {
        "set": compared.found.label,
        "reference": compared.reference.label,
        "structures": structures,
        "unmatched": list(compared.unmatched),
        "unmatched_in_reference": list(compared.unmatched_reference),
        "not_compared": dict(compared.refused),
        "notes": list(compared.notes),
    }


def dose_json(compared: DoseComparison) -> dict[str, Any]:
    """Return a structure's dose values by both sets; where a value is undefined, a reason stands instead."""
    parts = {
        "dose": compared.values,
        "reference_dose": compared.reference_values,
        "dose_differences": compared.differences,
    }
    return {key: {**values.values, "not_defined": dict(values.reasons)} for key, values in parts.items()}


def definitions_json(tolerances_mm: tuple[float, ...]) -> Mapping[str, Mapping[str, str]]:
    """Return unit, definition and source of each metric by name."""
    return {
        definition.name: {
            "unit": definition.unit,
            "definition": definition.text,
            "source": definition.source,
        }
        for definition in definitions(tolerances_mm)
    }
