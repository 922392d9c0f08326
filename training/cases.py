"""Training cases: a CT, the contours that somebody drew, and which structures nobody drew."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

HN_STRUCTURES = ("Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus")
_SPLIT = Path(__file__).parent / "splits" / "openkbp.json"
_OPENKBP_BITS = {
    "Brainstem": 0, "SpinalCord": 1, "Parotid_R": 2, "Parotid_L": 3, "Esophagus": 4, "Larynx": 5, "Mandible": 6,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Case:
    """One patient on one grid; ``drawn`` is False where a structure was not contoured, which is not 'absent'."""

    name: str
    hu_zyx: NDArray[np.int16]
    bits_zyx: NDArray[np.uint8]
    drawn: NDArray[np.bool_]
    spacing_zyx_mm: tuple[float, float, float]
    synthetic: bool = False

    def mask(self, structure: int) -> NDArray[np.bool_]:
        """The voxels of one structure, by its index."""
        return ((self.bits_zyx >> structure) & 1).astype(bool)


def openkbp_cases(root: Path, subset: str) -> Iterator[Case]:
    """Every patient of the fixed split's ``train`` or ``val``, cut to the slices with whole cross sections.

    The split is the source's own, written down in ``splits/openkbp.json``: KeyError where a patient of it is absent.

    Outside ``body_k0 <= z < body_k1`` the source blanked the CT but for stubs round the contours, which would give
    the labels away (see the data's README).
    """
    with (root / "patients.csv").open(newline="") as rows:
        patients = {row["id"]: row for row in csv.DictReader(rows)}
    for name in openkbp_split()[subset]:
        yield _openkbp_case(root / patients[name]["set"] / name, patients[name])


def openkbp_split() -> dict[str, list[str]]:
    """The patients' ids by subset: ``val`` is never trained on."""
    split: dict[str, list[str]] = json.loads(_SPLIT.read_text())
    return {subset: split[subset] for subset in ("train", "val")}


def _openkbp_case(folder: Path, row: dict[str, str]) -> Case:
    ct = sitk.ReadImage(str(folder / "ct.nii.gz"))
    source_bits = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "structures.nii.gz")))
    whole = slice(int(row["body_k0"]), int(row["body_k1"]))
    bits = np.zeros(source_bits.shape, np.uint8)
    for index, name in enumerate(HN_STRUCTURES):
        bits |= (((source_bits >> _OPENKBP_BITS[name]) & 1) << index).astype(np.uint8)
    drawn = np.array([bool((bits >> i & 1).any()) for i in range(len(HN_STRUCTURES))])
    dx, dy, dz = ct.GetSpacing()
    return Case(
        name=row["id"],
        hu_zyx=np.ascontiguousarray(sitk.GetArrayFromImage(ct)[whole]),
        bits_zyx=np.ascontiguousarray(bits[whole]),
        drawn=drawn,
        spacing_zyx_mm=(dz, dy, dx),
    )
