"""A served model's masks compared with its maker's own: voxels that differ, structure by structure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.contour_set import ContourSet, upright
from evaluation.errors import EvaluationRefused
from evaluation.nifti import LabelNames, is_image, read_array, read_masks, stem
from evaluation.overlap import dice
from evaluation.reading import read_contours
from imaging.ct.series import ImageSeries
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Masks, Volume
from inference.contract import BundleRuntime, ModelContract, NnunetRuntime
from inference.importing.labels import proposed

_CC = 1000.0  # mm3


@dataclass(frozen=True, kw_only=True)
class AnswerRow:
    """One structure of one image: the model's mask and the maker's. Dice is None where both are empty."""

    image: str
    code: str
    differing_voxels: int
    reference_voxels: int
    dice: float | None
    volume_cc: float
    reference_cc: float

    @property
    def differing_percent(self) -> float:
        """Voxels that differ, in percent of the maker's; infinite where only the model has voxels."""
        if not self.differing_voxels:
            return 0.0
        return (
            100.0 * self.differing_voxels / self.reference_voxels if self.reference_voxels else float("inf")
        )


def read_image(path: Path, *, is_hu: bool) -> tuple[Volume, bool]:
    """Read an image file as the model needs it (int16 HU, or float32 unchanged), and say whether HU had to be rounded.

    Raises EvaluationRefused where its values are not HU.
    """
    grid, values = read_array(path)
    if not np.isfinite(values).all():
        raise EvaluationRefused(f"{path}: some values are not numbers")
    if not is_hu:
        return Volume(array_zyx=values.astype(np.float32), grid=grid), False
    hu = np.rint(values)
    if hu.min() < -32768 or hu.max() > 32767:
        raise EvaluationRefused(f"{path}: values from {hu.min():g} to {hu.max():g} are not HU")
    return Volume(array_zyx=hu.astype(np.int16), grid=grid), bool((hu != values).any())


def read_answer(
    path: Path, image: ImageSeries | Grid, contract: ModelContract, same: Mapping[str, str]
) -> ContourSet:
    """Read a maker's answer with the model's codes as names.

    A label map's values are named by a file beside it (`evaluation.nifti`), or else are those that the model's maker
    writes. ``same`` names the code of a label; an empty one leaves it out. EvaluationRefused where a label that has
    voxels is none of the model's structures.
    """
    found = _as_written(path, image, contract)
    codes = codes_of([*found.masks, *found.refused], contract, same)
    unknown = [name for name in found.masks if name not in codes and found.masks[name].crop_zyx.any()]
    if unknown:
        raise EvaluationRefused(
            f"{path}: {', '.join(unknown)}: no structure of {contract.name} (its structures: "
            f"{', '.join(contract.labels)}); say --same LABEL=CODE, or --same LABEL= to leave it out"
        )
    refused = [f"{name}: {reason}" for name, reason in found.refused.items() if codes.get(name)]
    if refused:
        raise EvaluationRefused(f"{path}: {'; '.join(refused)}")
    masks = {codes[name]: mask for name, mask in found.masks.items() if codes.get(name)}
    if not masks:
        raise EvaluationRefused(f"{path}: none of its structures is one of {contract.name}'s")
    return ContourSet(label=str(path), grid=found.grid, masks=masks, notes=found.notes)


def answer_rows(name: str, found: Masks, reference: ContourSet) -> list[AnswerRow]:
    """Compare every structure that the reference has; EvaluationRefused where the voxels do not coincide."""
    grid, masks = upright(found.grid, found.by_code)
    theirs = reference.on_grid(grid)
    voxel_cc = grid.voxel_volume_mm3 / _CC
    rows = []
    for code, mask in masks.items():
        if code not in theirs.masks:
            continue
        ours, other = mask.full(grid.shape_zyx), theirs.masks[code].full(grid.shape_zyx)
        counts = int(np.count_nonzero(ours)), int(np.count_nonzero(other))
        rows.append(
            AnswerRow(
                image=name,
                code=code,
                differing_voxels=int(np.count_nonzero(ours != other)),
                reference_voxels=counts[1],
                dice=dice(ours, other) if any(counts) else None,
                volume_cc=counts[0] * voxel_cc,
                reference_cc=counts[1] * voxel_cc,
            )
        )
    return rows


def own_values(contract: ModelContract) -> LabelNames | None:
    """Return the values that the model's maker writes for each structure; None without one label map."""
    runtime = contract.runtime
    if isinstance(runtime, NnunetRuntime) and len(runtime.parts) == 1 and not runtime.parts[0].regions:
        return dict(zip(contract.labels, (one.values for one in runtime.structures), strict=True))
    if isinstance(runtime, BundleRuntime) and runtime.discrete == "argmax":
        return dict(zip(contract.labels, (one.values for one in runtime.structures), strict=True))
    return None


def _as_written(path: Path, image: ImageSeries | Grid, contract: ModelContract) -> ContourSet:
    files = [path] if path.is_file() else [file for file in sorted(path.iterdir()) if is_image(file)]
    if len(files) != 1 or not is_image(files[0]) or codes_of([stem(files[0])], contract, {}):
        return read_contours(path, image)
    grid, masks = upright(*read_masks(files[0], own_values(contract)))
    return ContourSet(label=str(path), grid=grid, masks=masks)


def codes_of(names: Sequence[str], contract: ModelContract, same: Mapping[str, str]) -> dict[str, str]:
    """Return the code of each name that means one of the model's structures; "" where it is to be left out."""
    own = {
        structure.definition.name: structure.code
        for structure in contract.structures
        if structure.definition is not None
    }
    found: dict[str, str] = {}
    for row in proposed([name for name in names if name not in same]):
        code = own.get(row.label, row.code)
        if code in contract.labels:
            found[row.label] = code
    for name, code in same.items():
        if code and code not in contract.labels:
            raise EvaluationRefused(
                f"--same {name}={code}: {contract.name} has no structure {code}; it has {', '.join(contract.labels)}"
            )
    return found | {name: same[name] for name in names if name in same}
