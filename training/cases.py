"""Training cases: a CT, its drawn contours, and which structures were not drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Spacing = tuple[float, float, float]

PLACES_A_STRUCTURE = 4096


class Subset(StrEnum):
    """The subsets of patients: what each may be used for."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class NotForTraining(Exception):
    """A patient of another subset was about to be used for training, or a test patient was about to be read."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One patient on one grid; axes z, y, x run to the patient's head, back and left.

    ``planes``: uint8 (plane, z, y, x), structure i is bit i % 8 of plane i // 8, as the served model answers.
    ``drawn`` is False where a structure was not contoured, which does not mean that it is absent. ``places`` are some
    voxels of each structure, as indices (n, 3), on which patches are centred. Arrays may be memory maps.
    """

    name: str
    subset: Subset
    hu_zyx: NDArray[np.int16]
    planes: NDArray[np.uint8]
    drawn: NDArray[np.bool_]
    places: tuple[NDArray[np.int_], ...]
    spacing_zyx_mm: Spacing
    synthetic: bool = False
    bits: tuple[int, ...] = ()  # each structure's bit; empty: structure i is bit i

    def __post_init__(self) -> None:
        """Refuse planes and CT that do not lie on one grid, or too few planes for the structures."""
        if self.planes.shape[1:] != self.hu_zyx.shape:
            raise ValueError(f"{self.name}: planes {self.planes.shape} and CT {self.hu_zyx.shape} differ")
        highest = max(self.bits, default=len(self.drawn) - 1)
        if len(self.drawn) != len(self.places) or highest >= 8 * len(self.planes):
            raise ValueError(
                f"{self.name}: {len(self.drawn)} structures, {len(self.places)} lists of places, "
                f"{len(self.planes)} planes"
            )

    def mask(self, structure: int) -> NDArray[np.bool_]:
        """Return the voxels of one structure, by its index."""
        bit = self.bit(structure)
        return np.asarray((self.planes[bit // 8] >> np.uint8(bit % 8)) & np.uint8(1), np.bool_)

    def bit(self, structure: int) -> int:
        """Return the bit of one structure in the planes, by its index."""
        return self.bits[structure] if self.bits else structure

    def with_structures(self, order: Sequence[int]) -> "Case":
        """Return the case with only these structures, in this order, without copying its arrays."""
        return replace(
            self,
            bits=tuple(self.bit(index) for index in order),
            drawn=self.drawn[list(order)],
            places=tuple(self.places[index] for index in order),
        )


class CaseSource(Protocol):
    """Patients of a fixed split; a case is read on request and not kept."""

    @property
    def structures(self) -> tuple[str, ...]:
        """The structure codes in the order of bits."""

    def names(self, subset: Subset) -> tuple[str, ...]:
        """Return the patients of a subset, in a fixed order."""

    def case(self, name: str) -> Case:
        """Read one patient."""


class TrainingCases:
    """The training patients of a source: no others can be read through it."""

    def __init__(self, source: CaseSource) -> None:
        """Take the source's training patients. Raises NotForTraining where there are none."""
        self.names = source.names(Subset.TRAIN)
        if not self.names:
            raise NotForTraining("the split has no patient in 'train'; see split.json")
        self._source = source

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Case]:
        return (self.case(name) for name in self.names)

    def case(self, name: str) -> Case:
        """Read one training patient; NotForTraining for any other."""
        case = self._source.case(name)
        if case.subset is not Subset.TRAIN or name not in self.names:
            raise NotForTraining(
                f"{name} belongs to '{case.subset}' by the fixed split: it is never trained on"
            )
        return case


def validation_cases(source: CaseSource) -> list[str]:
    """Return the names of the validation cases; NotForTraining where one is also trained on."""
    names = list(source.names(Subset.VAL))
    both = sorted(set(names) & set(source.names(Subset.TRAIN)))
    if both:
        raise NotForTraining(f"patients {both} are in 'train' and in 'val' of split.json")
    return names


def bit_planes(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Pack masks (z, y, x), one per structure, into bit planes (plane, z, y, x); ValueError for none."""
    if not masks:
        raise ValueError("no masks: a case has at least one structure")
    planes = np.zeros((-(-len(masks) // 8), *masks[0].shape), np.uint8)
    for index, mask in enumerate(masks):
        planes[index // 8] |= mask.astype(np.uint8) << np.uint8(index % 8)
    return planes


def places_of(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int_]:
    """Draw at most ``PLACES_A_STRUCTURE`` voxels of a mask (z, y, x) without repetition; return indices (n, 3)."""
    voxels = np.flatnonzero(mask)
    if len(voxels) > PLACES_A_STRUCTURE:
        voxels = np.sort(rng.choice(voxels, PLACES_A_STRUCTURE, replace=False))
    return np.stack(np.unravel_index(voxels, mask.shape), axis=-1).astype(np.int64)
