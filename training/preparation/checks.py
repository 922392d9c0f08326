"""What looks wrong in a case, or compared with others, and what is done about it unless a person decides otherwise."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imaging.atomic_files import atomic_file
from imaging.masks.body import body_of
from imaging.sides import Side, sides_of
from imaging.structures import CATALOGUE, InterpretedType
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Mask, Volume
from training.preparation.errors import PreparationRefused

FINDINGS_FILE = "findings.csv"
_FIELDS = ("case", "structure", "kind", "decision", "words")
_OUTLIER = 4.0  # robust deviations of the logarithm of the volume
_FEW_FOR_OUTLIERS = 8
_PARTIAL = 0.4  # of the median volume
_MIDLINE_MM = 5.0
_ORGANS = frozenset({InterpretedType.ORGAN, InterpretedType.AVOIDANCE, InterpretedType.CAVITY})


class Kind(StrEnum):
    """The kinds of findings."""

    REFUSED = "case refused"
    NOTE = "note"
    MISSING = "not contoured"
    WRONG_SIDE = "wrong side"
    GAP = "gap between slices"
    CUT = "cut by the end of the scan"
    PARTIAL = "partial organ"
    OUTLIER = "volume unlike the others"


class Decision(StrEnum):
    """Whether a structure of a case is used for training and validation."""

    KEEP = "keep"
    LEAVE_OUT = "leave out"


_LEFT_OUT = frozenset({Kind.WRONG_SIDE, Kind.MISSING, Kind.REFUSED})


@dataclass(frozen=True, kw_only=True)
class PreparationFinding:
    """One finding about a case, or a structure of it."""

    case: str
    structure: str
    kind: Kind
    words: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The key by which a person's decision is found again."""
        return self.case, self.structure, str(self.kind)

    @property
    def proposed(self) -> Decision:
        """What is done unless a person decides otherwise."""
        return Decision.LEAVE_OUT if self.kind in _LEFT_OUT else Decision.KEEP


def case_findings(
    case: str, volume: Volume, masks: Mapping[str, Mask], structures: Sequence[str]
) -> list[PreparationFinding]:
    """Check one case in canonical orientation for missing structures, wrong sides, gaps and cut ends."""
    middle = _middle_mm(volume)
    found = []
    for code in structures:
        mask = masks.get(code)
        if mask is None:
            found.append(PreparationFinding(case=case, structure=code, kind=Kind.MISSING, words="no contour"))
            continue
        for kind, words in (
            (Kind.WRONG_SIDE, _wrong_side(code, mask, volume.grid, middle)),
            (Kind.GAP, _gap(mask)),
            (Kind.CUT, _cut(mask, volume.grid)),
        ):
            if words:
                found.append(PreparationFinding(case=case, structure=code, kind=kind, words=words))
    return found


def volume_findings(volumes_cc: Mapping[str, Mapping[str, float]]) -> list[PreparationFinding]:
    """Compare volumes in cc (by structure, by case) over cases: partial organs and outliers, from eight cases on.

    Targets have no usual volume.
    An outlier lies more than 4 robust standard deviations (1.4826 x the median absolute deviation, at least 0.15) from
    the median of the logarithms.
    """
    found = []
    for code, by_case in volumes_cc.items():
        if len(by_case) < _FEW_FOR_OUTLIERS or CATALOGUE[code].interpreted_type not in _ORGANS:
            continue
        logs = np.log(list(by_case.values()))
        median = float(np.median(logs))
        spread = max(1.4826 * float(np.median(np.abs(logs - median))), 0.15)
        for case, volume in by_case.items():
            words = f"{volume:.1f} cc, the median is {np.exp(median):.1f} cc"
            if volume < _PARTIAL * np.exp(median):
                found.append(PreparationFinding(case=case, structure=code, kind=Kind.PARTIAL, words=words))
            elif abs(np.log(volume) - median) > _OUTLIER * spread:
                found.append(PreparationFinding(case=case, structure=code, kind=Kind.OUTLIER, words=words))
    return found


def decided(findings: Iterable[PreparationFinding], dataset: Path) -> dict[tuple[str, str, str], Decision]:
    """Return each finding's decision: a person's from an earlier findings.csv, else the proposal; write the table.

    Raises PreparationRefused for an invalid decision.
    """
    file = dataset / FINDINGS_FILE
    earlier = _earlier(file)
    rows = sorted(findings, key=lambda finding: (finding.key, finding.words))
    decisions = {row.key: earlier.get(row.key, row.proposed) for row in rows}
    with atomic_file(file) as part, part.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(_FIELDS)
        writer.writerows((r.case, r.structure, r.kind, decisions[r.key], r.words) for r in rows)
    return decisions


def _earlier(file: Path) -> dict[tuple[str, str, str], Decision]:
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8-sig") as rows:
        found = {}
        for number, row in enumerate(csv.DictReader(rows), 2):
            if row.get("decision") not in set(Decision):
                raise PreparationRefused(
                    f"{file}, line {number}: the decision is {row.get('decision')!r}; write 'keep' or 'leave out'"
                )
            found[(row["case"], row["structure"], row["kind"])] = Decision(row["decision"])
    return found


def _middle_mm(volume: Volume) -> float:
    """Return the position of the body's middle along x, in mm from the first column's centre."""
    body = body_of(volume)
    columns = _centre(body)[2] if body.voxels() else (volume.grid.shape_zyx[2] - 1) / 2
    return columns * volume.grid.spacing_zyx_mm[2]


def _wrong_side(code: str, mask: Mask, grid: Grid, middle_mm: float) -> str:
    """Say that a structure of one side lies on the other, or ""; x grows to the patient's left."""
    sides = sides_of(code)
    if len(sides) != 1:
        return ""
    off = _centre(mask)[2] * grid.spacing_zyx_mm[2] - middle_mm
    lies = Side.LEFT if off > 0 else Side.RIGHT
    if lies in sides or abs(off) < _MIDLINE_MM:
        return ""
    return f"lies {abs(off):.0f} mm to the {lies} of the body's middle"


def _gap(mask: Mask) -> str:
    empty = int((~mask.crop_zyx.any(axis=(1, 2))).sum())
    return f"{empty} slice(s) between its first and last have no contour" if empty else ""


def _cut(mask: Mask, grid: Grid) -> str:
    first, last = mask.start_zyx[0], mask.start_zyx[0] + mask.crop_zyx.shape[0]
    ends = [name for name, hit in (("lowest", first == 0), ("highest", last == grid.shape_zyx[0])) if hit]
    return f"reaches the {' and the '.join(ends)} slice" if ends else ""


def _centre(mask: Mask) -> NDArray[np.float64]:
    return np.asarray(np.argwhere(mask.crop_zyx).mean(axis=0) + np.array(mask.start_zyx), np.float64)
