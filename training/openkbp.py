"""The OpenKBP developer set as training cases: the source's own split, complete cross-sections only."""

import csv
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from training.cases import Case, Subset, bit_planes, places_of

HN_STRUCTURES = ("Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus")
STRUCTURES = (*HN_STRUCTURES, "PTV_High")  # the source calls the last PTV70
_SPLIT = Path(__file__).parent / "splits" / "openkbp.json"
_OPENKBP_BITS = {
    "Brainstem": 0, "SpinalCord": 1, "Parotid_R": 2, "Parotid_L": 3, "Esophagus": 4, "Larynx": 5, "Mandible": 6,
    "PTV_High": 9,
}  # fmt: skip
_KEPT_IN_MEMORY = 110


class OpenKbp:
    """A CaseSource over the OpenKBP folder; patients stay in memory once read (0.2 GiB for all).

    The split is the source's own, recorded in ``splits/openkbp.json``; a patient that it does not list cannot be
    read. Outside ``body_k0 <= z < body_k1`` the source blanked the CT except for stubs round the contours, which would
    give the labels away (see the data's README): those slices are removed.
    """

    structures = STRUCTURES

    def __init__(self, root: Path) -> None:
        """Read the table of patients. Raises FileNotFoundError, or KeyError where patients of the split are missing."""
        with (root / "patients.csv").open(newline="") as rows:
            self._rows = {row["id"]: row for row in csv.DictReader(rows)}
        self._root = root
        self._subsets = {name: Subset(subset) for subset, names in openkbp_split().items() for name in names}
        missing = sorted(self._subsets.keys() - self._rows.keys())
        if missing:
            raise KeyError(f"{root / 'patients.csv'} lacks patients of the split: {', '.join(missing[:5])}")
        self.case = lru_cache(_KEPT_IN_MEMORY)(self._read)

    def names(self, subset: Subset) -> tuple[str, ...]:
        """Return the patients of a subset in the order of the split file."""
        return tuple(name for name, belongs in self._subsets.items() if belongs is subset)

    def _read(self, name: str) -> Case:
        row, subset = self._rows[name], self._subsets[name]
        folder = self._root / row["set"] / name
        ct: Any = sitk.ReadImage(str(folder / "ct.nii.gz"))
        whole = slice(int(row["body_k0"]), int(row["body_k1"]))
        bits = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "structures.nii.gz")))[whole]
        masks = [(bits >> _OPENKBP_BITS[code] & 1).astype(bool) for code in STRUCTURES]
        rng = np.random.default_rng(int(name.removeprefix("pt_")))
        dx, dy, dz = ct.GetSpacing()
        return Case(
            name=name,
            subset=subset,
            hu_zyx=np.ascontiguousarray(sitk.GetArrayFromImage(ct)[whole]),
            planes=bit_planes(masks),
            drawn=np.array([mask.any() for mask in masks]),
            places=tuple(places_of(mask, rng) for mask in masks),
            spacing_zyx_mm=(dz, dy, dx),
        )


def openkbp_split() -> dict[str, list[str]]:
    """Return the patients' names by subset: ``val`` is never trained on."""
    split: dict[str, list[str]] = json.loads(_SPLIT.read_text())
    return {subset: split[subset] for subset in ("train", "val")}


def openkbp_cases(root: Path, subset: str) -> Iterator[Case]:
    """Return an iterator over the patients of ``train`` or ``val``."""
    patients = OpenKbp(root)
    return (patients.case(name) for name in patients.names(Subset(subset)))
