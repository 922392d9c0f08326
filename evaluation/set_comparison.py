"""Two sets of contours of one patient, structure by structure."""

from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.contour_set import ContourSet
from evaluation.errors import EvaluationRefused
from evaluation.geometry import DEFAULT_TOLERANCES_MM, Comparison, compare
from evaluation.naming import pair_names
from evaluation.pair import MaskPair


@dataclass(frozen=True, kw_only=True, eq=False)
class SetComparison:
    """The comparison of each structure that both sets name; and everything that could not be compared."""

    found: ContourSet
    reference: ContourSet
    by_structure: Mapping[str, Comparison]
    names: Mapping[str, tuple[str, str]]
    unmatched: tuple[str, ...]
    unmatched_reference: tuple[str, ...]
    refused: Mapping[str, str]
    refused_names: Mapping[str, tuple[str, str]]
    notes: tuple[str, ...]

    def pair(self, structure: str) -> MaskPair:
        """Return the masks of a structure that was compared."""
        ours, theirs = self.names[structure]
        return MaskPair.of(self.found.masks[ours], self.reference.masks[theirs], self.reference.grid)


def compare_sets(
    found: ContourSet,
    reference: ContourSet,
    tolerances_mm: tuple[float, ...] = DEFAULT_TOLERANCES_MM,
    given: Mapping[str, str] | None = None,
) -> SetComparison:
    """Compare every structure that both sets name, on the reference's grid.

    Raises EvaluationRefused where the sets lie in different frames of reference or on voxels that do not coincide.
    """
    frames = found.frame_of_reference_uid, reference.frame_of_reference_uid
    if all(frames) and frames[0] != frames[1]:
        raise EvaluationRefused(
            f"{found.label} lies in frame of reference {frames[0]}, {reference.label} in {frames[1]} (0020,0052); "
            "contours of different frames cannot be compared"
        )
    found = found.on_grid(reference.grid)
    pairing = pair_names((*found.masks, *found.refused), (*reference.masks, *reference.refused), given)
    refused = {
        name: f"{label}: {reason}"
        for name, pair in pairing.pairs.items()
        for own, label, reasons in zip(
            pair, (found.label, reference.label), (found.refused, reference.refused), strict=True
        )
        if (reason := reasons.get(own))
    }
    names = {name: pair for name, pair in pairing.pairs.items() if name not in refused}
    compared = {
        name: compare(MaskPair.of(found.masks[ours], reference.masks[theirs], reference.grid), tolerances_mm)
        for name, (ours, theirs) in names.items()
    }
    return SetComparison(
        found=found,
        reference=reference,
        by_structure=compared,
        names=names,
        unmatched=pairing.unmatched,
        unmatched_reference=pairing.unmatched_reference,
        refused=refused,
        refused_names={name: pairing.pairs[name] for name in refused},
        notes=(
            *(f"{found.label}: {note}" for note in found.notes),
            *(f"{reference.label}: {note}" for note in reference.notes),
            *pairing.notes,
            *_unchecked(frames),
        ),
    )


def _unchecked(frames: tuple[str, str]) -> tuple[str, ...]:
    if all(frames):
        return ()
    return ("a set names no frame of reference: that both are of one patient and image is not checked",)
