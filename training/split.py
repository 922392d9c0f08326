"""Which patient may be used for what: fixed by patient, and never changed for a patient once assigned."""

import hashlib
import json
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imaging.atomic_files import write_atomically
from training.cases import Subset
from training.faults import faults_of

SPLIT_FILE = "split.json"
SHARES_TOLERANCE = 1e-6
DEFAULT_SHARES = {Subset.TRAIN: 0.7, Subset.VAL: 0.15, Subset.TEST: 0.15}


class SplitRefused(Exception):
    """A split file that is damaged or contradicts itself or the request; the message names it."""


class Split(BaseModel):
    """Every patient's subset; new patients are assigned by a hash, known ones keep theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    salt: str = Field(
        pattern=r"^[0-9a-f]{32}$"
    )  # also for the pseudonyms: anyone who has it can search for a known identifier
    shares: dict[Subset, float]
    patients: dict[str, Subset] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shares_are_a_whole(self) -> Self:
        if abs(sum(self.shares.values()) - 1) > SHARES_TOLERANCE or min(self.shares.values()) < 0:
            raise ValueError(f"shares {self.shares} are not fractions that sum to 1")
        return self

    @classmethod
    def fresh(cls, shares: Mapping[Subset, float] = DEFAULT_SHARES) -> "Split":
        """Return a split without patients, with a random salt."""
        return cls(salt=secrets.token_hex(16), shares=dict(shares))

    def pseudonym(self, patient_id: str) -> str:
        """Return the name of a patient in the dataset: not an identifier, but the same in every run with this salt."""
        digest = hashlib.sha256(f"{self.salt}/{patient_id}".encode()).hexdigest()
        return f"p{digest[:12]}"

    def with_patients(self, names: Collection[str]) -> "Split":
        """Return the split with new patients assigned: in hash order, each to the subset farthest below its share."""
        placed = dict(self.patients)
        counts = {subset: sum(1 for s in placed.values() if s is subset) for subset in self.shares}
        new = sorted(
            set(names) - placed.keys(),
            key=lambda name: hashlib.sha256(f"{self.salt}{name}".encode()).digest(),
        )
        for name in new:
            total = len(placed) + 1
            subset = max(self.shares, key=lambda s: self.shares[s] * total - counts[s])
            placed[name] = subset
            counts[subset] += 1
        return self.model_copy(update={"patients": placed})

    @property
    def sha256(self) -> str:
        """A digest of the assignments; a run keeps it and refuses to continue with a different split."""
        listing = "".join(f"{name} {self.patients[name]}\n" for name in sorted(self.patients))
        return hashlib.sha256(listing.encode()).hexdigest()


def load_split(folder: Path) -> Split | None:
    """Return the split of a dataset, None where it has none yet; SplitRefused for a file that is not one."""
    file = folder / SPLIT_FILE
    if not file.exists():
        return None
    try:
        return Split.model_validate_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SplitRefused(
            f"{file} cannot be read: {faults_of(error)}. Restore it from a copy: a new split would mix tested and trained patients."
        ) from error


def save_split(split: Split, folder: Path) -> None:
    """Write the split. Raises SplitRefused where it would move a patient that the folder's split has assigned."""
    before = load_split(folder)
    for name, subset in before.patients.items() if before else ():
        if split.patients.get(name) is not subset:
            raise SplitRefused(f"{folder / SPLIT_FILE}: patient {name} is in '{subset}' and stays there")
    write_atomically(folder / SPLIT_FILE, json.dumps(split.model_dump(mode="json"), indent=1) + "\n")
