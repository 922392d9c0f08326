"""Constancy: frozen cases contoured again, every changed voxel, and what changed in model, node, library or machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.errors import EvaluationRefused
from evaluation.fingerprint import differences
from evaluation.overlap import dice
from imaging.atomic_files import atomic_file, write_atomically
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume

BASELINE = "baseline.json"
MASKS = "baseline.npz"


@dataclass(frozen=True, kw_only=True, eq=False)
class Contoured:
    """A case as the node contoured it: masks and mean probabilities by structure code on the CT's grid."""

    case: str
    volume: Volume
    masks: Mapping[str, Mask]
    mean_probability: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A structure of a frozen case that is not as it was."""

    case: str
    structure: str
    changed_voxels: int
    voxels: int
    frozen_voxels: int
    dice: float | None

    @property
    def line(self) -> str:
        """The change in words."""
        agreement = "" if self.dice is None else f", Dice with the frozen one {self.dice:.4f}"
        return (
            f"{self.case}, {self.structure}: {self.changed_voxels} voxels changed "
            f"({self.frozen_voxels} before, {self.voxels} now{agreement})"
        )


@dataclass(frozen=True, kw_only=True)
class ConstancyResult:
    """Changed structures, and what changed in the environment; only changed voxels or lost cases are an alarm."""

    changes: tuple[Change, ...]
    environment: tuple[str, ...]
    cases: int

    @property
    def is_constant(self) -> bool:
        """Whether every voxel is as it was."""
        return not self.changes

    @property
    def line(self) -> str:
        """The result in one line, with the possible cause."""
        if self.is_constant:
            other = f"; changed without an effect: {'; '.join(self.environment)}" if self.environment else ""
            return f"{self.cases} frozen cases are contoured as before, voxel by voxel{other}"
        cases = len({change.case for change in self.changes})
        voxels = sum(change.changed_voxels for change in self.changes)
        cause = "; ".join(self.environment) or "nothing known changed in model, node, libraries or machine"
        return f"{voxels} voxels of {len(self.changes)} structures in {cases} of {self.cases} frozen cases changed: {cause}"


def freeze(folder: Path, contoured: Contoured, environment: Mapping[str, str]) -> None:
    """Write a case's masks and the environment into its folder; masks first: a half-written one does not count."""
    arrays: dict[str, Any] = {}
    for code, mask in contoured.masks.items():
        arrays[f"{code}/crop"] = np.packbits(mask.crop_zyx)
        arrays[f"{code}/shape"] = np.array(mask.crop_zyx.shape)
        arrays[f"{code}/start"] = np.array(mask.start_zyx)
    with atomic_file(folder / MASKS) as part, part.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    content = {
        "image_sha256": image_sha256(contoured.volume),
        "masks_sha256": hashlib.sha256((folder / MASKS).read_bytes()).hexdigest(),
        "mean_probability": dict(contoured.mean_probability),
        "environment": dict(environment),
    }
    write_atomically(folder / BASELINE, json.dumps(content, indent=1))


def is_frozen(folder: Path) -> bool:
    """Tell whether a case's folder holds what was frozen."""
    return (folder / BASELINE).is_file()


def compare(cases: Sequence[tuple[Path, Contoured]], environment: Mapping[str, str]) -> ConstancyResult:
    """Compare cases as contoured now with what their folders hold.

    Raises EvaluationRefused where a case was not frozen, where its CT has changed, or where the frozen files are
    damaged.
    """
    changes: list[Change] = []
    moved: dict[str, None] = {}
    for folder, now in cases:
        content, masks = _frozen(folder)
        if content["image_sha256"] != image_sha256(now.volume):
            raise EvaluationRefused(
                f"{folder}: the CT is not the one that was frozen; restore it, or freeze again"
            )
        changes += _changes(now, masks)
        moved |= dict.fromkeys(differences(content["environment"], environment))
    return ConstancyResult(changes=tuple(changes), environment=tuple(moved), cases=len(cases))


def image_sha256(volume: Volume) -> str:
    """Return the checksum of a volume's voxels and of its grid."""
    digest = hashlib.sha256(np.ascontiguousarray(volume.array_zyx).tobytes())
    grid: Grid = volume.grid
    digest.update(repr((grid.shape_zyx, grid.origin_lps, grid.spacing_zyx_mm, grid.axes_lps)).encode())
    return digest.hexdigest()


def _changes(now: Contoured, masks: Mapping[str, Mask]) -> list[Change]:
    shape = now.volume.grid.shape_zyx
    found: list[Change] = []
    for code in sorted(now.masks.keys() | masks.keys()):
        ours, frozen = (side.get(code, Mask.empty()).full(shape) for side in (now.masks, masks))
        changed = int(np.count_nonzero(ours ^ frozen))
        if changed or (code in now.masks) != (code in masks):
            counts = int(np.count_nonzero(ours)), int(np.count_nonzero(frozen))
            found.append(
                Change(
                    case=now.case,
                    structure=code,
                    changed_voxels=changed,
                    voxels=counts[0],
                    frozen_voxels=counts[1],
                    dice=dice(ours, frozen) if any(counts) else None,
                )
            )
    return found


def _frozen(folder: Path) -> tuple[dict[str, Any], dict[str, Mask]]:
    if not is_frozen(folder):
        raise EvaluationRefused(f"{folder}: nothing is frozen here; run constancy --freeze")
    try:
        content = json.loads((folder / BASELINE).read_text(encoding="utf-8"))
        data = (folder / MASKS).read_bytes()
        if hashlib.sha256(data).hexdigest() != content["masks_sha256"]:
            raise EvaluationRefused(f"{folder / MASKS}: not what was frozen; restore it, or freeze again")
        with np.load(folder / MASKS) as file:
            codes = {name.rpartition("/")[0] for name in file.files}
            masks = {
                code: _mask(file[f"{code}/crop"], file[f"{code}/shape"], file[f"{code}/start"])
                for code in codes
            }
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationRefused(f"{folder}: what was frozen cannot be read: {error}") from error
    return content, masks


def _mask(packed: Any, shape: Any, start: Any) -> Mask:
    z, y, x = (int(n) for n in shape)
    crop = np.unpackbits(packed)[: z * y * x].reshape(z, y, x).astype(bool)
    return Mask(crop_zyx=crop, start_zyx=(int(start[0]), int(start[1]), int(start[2])))
