"""The training patients of a search, in two parts: two thirds for the weights, a third for the alphas.

"Only the validation set is used for updating alpha. The ratio between the training set and the validation set is 2:1":
that validation set is a part of the training patients. The split's own validation and test patients are never seen.
"""

from dataclasses import dataclass

import numpy as np

from training.cases import Case, CaseSource, NotForTraining, Subset
from training.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class PartOfTraining:
    """A CaseSource with some of the training cases of another, and nothing else."""

    source: CaseSource
    cases: tuple[str, ...]

    @property
    def structures(self) -> tuple[str, ...]:
        """The structure codes in the order of bits."""
        return self.source.structures

    def names(self, subset: Subset) -> tuple[str, ...]:
        """Return the part's cases for training; none for validation or test."""
        return self.cases if subset is Subset.TRAIN else ()

    def case(self, name: str) -> Case:
        """Read one case of the part; NotForTraining for any other."""
        if name not in self.cases:
            raise NotForTraining(f"{name} is not in this part of the training patients")
        return self.source.case(name)


def halves(source: CaseSource, seed: int) -> tuple[PartOfTraining, PartOfTraining]:
    """Split the training patients 2:1 by seed; all cases of a patient are in one part.

    Raises NotForTraining where there are fewer than two patients.
    """
    patients: dict[str, list[str]] = {}
    for name in source.names(Subset.TRAIN):
        patients.setdefault(_patient(source, name), []).append(name)
    if len(patients) < 2:
        raise NotForTraining(f"a search needs two training patients or more, not {len(patients)}")
    order = np.random.default_rng([seed, 1]).permutation(sorted(patients)).tolist()
    held_back = max(1, round(len(order) / 3))
    alphas = {name for patient in order[:held_back] for name in patients[patient]}
    names = source.names(Subset.TRAIN)
    return (
        PartOfTraining(source=source, cases=tuple(name for name in names if name not in alphas)),
        PartOfTraining(source=source, cases=tuple(name for name in names if name in alphas)),
    )


def _patient(source: CaseSource, name: str) -> str:
    return source.index.cases[name] if isinstance(source, Dataset) else name
