"""How often a model's limits give false alarms, and what they catch: python -m training.plausibility_rates --data ...

False alarms are counted on the validation patients, and on the training patients in five folds, each judged by limits
learned without it. Catches are counted on the validation patients' structures, made
wrong on purpose, and on the model's answers for CTs turned upside down or back to front, and for other parts of the
body.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from evaluation.overlap import dice
from evaluation.plausible_limits import Sample, learn
from imaging.anatomy import BodyProfile, RegionEstimate, body_profile, estimate_regions, placements
from imaging.ct.series import SourceFile, read_ct
from imaging.volumes.orientation import canonical
from imaging.volumes.volume import Mask, Volume
from inference.contract import ModelContract
from inference.contract.plausibility import Plausibility
from inference.judgement import judge, region_finding
from inference.server.predictor import ServedPredictor
from training.cases import Case
from training.openkbp import openkbp_cases
from training.phantom_cases import phantom_case
from training.plausibility import (
    FIRST_PHANTOM,
    PHANTOMS,
    found_in,
    predictor,
    samples_of,
    volume_of,
)

FOLDS = 5
GOOD_DICE = 0.5
SHIFTS_MM = (20.0, 40.0, 60.0)
KEPT = 0.1
Masks = Mapping[str, Mask]


@dataclass(frozen=True, kw_only=True, eq=False)
class Answered:
    """A case and the model's answer."""

    case: Case
    found: Masks

    def right(self, labels: Sequence[str]) -> dict[str, Mask]:
        """Return the structures found that agree with the drawn ones."""
        shape = volume_of(self.case).grid.shape_zyx
        drawn = {code: self.case.mask(i) for i, code in enumerate(labels) if self.case.drawn[i]}
        return {
            code: mask
            for code, mask in self.found.items()
            if code in drawn and mask.voxels() and dice(mask.full(shape), drawn[code]) >= GOOD_DICE
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredCt:
    """A CT, and the profile and regions of the body in it."""

    volume: Volume
    profile: BodyProfile
    regions: RegionEstimate

    @classmethod
    def at(cls, volume: Volume) -> "MeasuredCt":
        """Measure the volume, in canonical orientation."""
        profile = body_profile(volume)
        return cls(volume=volume, profile=profile, regions=estimate_regions(profile))


class Wrong(NamedTuple):
    """A planted fault: its kind, all masks of the case, and the codes of the wrong ones."""

    kind: str
    masks: Masks
    codes: tuple[str, ...]


class Rates:
    """Counts of what was left out, out of how many, by kind."""

    def __init__(self) -> None:
        self._all, self._out = Counter[str](), Counter[str]()

    def add(
        self, kind: str, limits: Plausibility, look: MeasuredCt, masks: Masks, only: Sequence[str]
    ) -> None:
        """Judge a case and count those of its structures that the row covers."""
        placed = placements(masks, look.volume, look.profile, look.regions)
        out = {finding.structure for finding in judge(limits, placed) if finding.is_implausible}
        self._all[f"{kind}: structures"] += len(only)
        self._out[f"{kind}: structures"] += len(out & set(only))

    def add_series(self, kind: str, limits: Plausibility, look: MeasuredCt) -> None:
        """Count a series, and whether the model is found unsuited to it."""
        self._all[f"{kind}: series"] += 1
        self._out[f"{kind}: series"] += region_finding(limits, look.regions) is not None

    def rows(self) -> Iterator[str]:
        """Yield the table's lines."""
        for kind, count in self._all.items():
            if count:
                yield f"| {kind} | {self._out[kind]} of {count} |"


def answered(cases: Iterator[Case], contract: ModelContract, model: ServedPredictor) -> list[Answered]:
    """Return the model's answers for cases."""
    return [Answered(case=case, found=found_in(volume_of(case), contract, model)) for case in cases]


def false_alarms(
    rates: Rates, limits: Plausibility, cases: Sequence[Answered], labels: Sequence[str]
) -> None:
    """Count the correct structures, among all that the model found in each case."""
    for one in cases:
        look = MeasuredCt.at(volume_of(one.case))
        rates.add("right", limits, look, one.found, tuple(one.right(labels)))
        rates.add_series("right", limits, look)


def folds(
    cases: Sequence[Answered], phantoms: Sequence[Answered], contract: ModelContract, like: Plausibility
) -> Rates:
    """Count false alarms on patients that the limits were not learned from."""
    rates = Rates()
    always = [s for one in phantoms for s in samples_of(one.case, contract.labels, one.found)]
    for fold in range(FOLDS):
        held_out = cases[fold::FOLDS]
        others = [one for one in cases if one not in held_out]
        samples: list[Sample] = [
            s for one in others for s in samples_of(one.case, contract.labels, one.found)
        ]
        limits = learn([*samples, *always], contract.labels, like.regions, "folds")
        false_alarms(rates, limits, held_out, contract.labels)
    return rates


def made_wrong(right: Masks, contract: ModelContract, look: MeasuredCt) -> Iterator[Wrong]:
    """Yield faults planted in the correct structures, one at a time, the others unchanged."""
    pairs = contract.left_right_pairs
    for a, b in pairs:
        if a in right and b in right:
            yield Wrong("left and right swapped", {**right, a: right[b], b: right[a]}, (a, b))
    for code, mask in right.items():
        yield Wrong(f"its lowest {KEPT:.0%} alone", {**right, code: _fragment(mask)}, (code,))
        for other in right:
            if other != code and {code, other} not in [set(pair) for pair in pairs]:
                yield Wrong("another structure under its name", {**right, code: right[other]}, (code,))
        for kind, moved in _moves(mask, look.volume):
            yield Wrong(kind, {**right, code: moved}, (code,))


def _moves(mask: Mask, volume: Volume) -> Iterator[tuple[str, Mask]]:
    shape, steps = volume.grid.shape_zyx, volume.grid.spacing_zyx_mm
    for mm, axis, sign in product(SHIFTS_MM, range(3), (-1, 1)):
        moved = _moved(mask, axis, round(sign * mm / steps[axis]), shape)
        if moved is not None:
            yield f"moved {mm:.0f} mm {('up or down', 'forwards or back', 'sideways')[axis]}", moved


def _moved(mask: Mask, axis: int, by: int, shape: tuple[int, int, int]) -> Mask | None:
    start = list(mask.start_zyx)
    start[axis] += by
    if start[axis] < 0 or start[axis] + mask.crop_zyx.shape[axis] > shape[axis]:
        return None
    return Mask(crop_zyx=mask.crop_zyx, start_zyx=(start[0], start[1], start[2]))


def _fragment(mask: Mask) -> Mask:
    kept = mask.crop_zyx.copy()
    filled = np.cumsum(np.count_nonzero(kept, axis=(1, 2)))
    kept[int(np.searchsorted(filled, KEPT * filled[-1])) + 1 :] = False
    return Mask(crop_zyx=kept, start_zyx=mask.start_zyx)


def turned(volume: Volume) -> Iterator[tuple[str, Volume]]:
    """Yield the CT in orientations that its headers do not state."""
    for kind, axes in (("upside down", 0), ("back to front", 1), ("turned end over end", (0, 1))):
        flipped = np.ascontiguousarray(np.flip(volume.hu_zyx, axes))
        yield f"CT {kind}", Volume(array_zyx=flipped, grid=volume.grid)


def catches(
    limits: Plausibility, cases: Sequence[Answered], contract: ModelContract, model: ServedPredictor
) -> Rates:
    """Count how many wrong structures are left out."""
    rates = Rates()
    for one in cases:
        look = MeasuredCt.at(volume_of(one.case))
        for wrong in made_wrong(one.right(contract.labels), contract, look):
            rates.add(wrong.kind, limits, look, wrong.masks, wrong.codes)
        for kind, other in turned(look.volume):
            _add_answer(rates, kind, limits, MeasuredCt.at(other), found_in(other, contract, model))
    return rates


def other_parts(
    rates: Rates,
    folders: Sequence[Path],
    limits: Plausibility,
    contract: ModelContract,
    model: ServedPredictor,
) -> None:
    """Count the model's answers for CTs to which it is not suited."""
    for folder in folders:
        files = [SourceFile(name=p.name, data=p.read_bytes()) for p in sorted(folder.glob("*.dcm"))]
        volume = canonical(read_ct(files).volume)
        found = found_in(volume, contract, model)
        _add_answer(rates, "another part of the body", limits, MeasuredCt.at(volume), found)


def _add_answer(rates: Rates, kind: str, limits: Plausibility, look: MeasuredCt, found: Masks) -> None:
    codes = tuple(code for code, mask in found.items() if mask.voxels())
    rates.add(kind, limits, look, found, codes)
    rates.add_series(kind, limits, look)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument("--version", type=Path, default=Path("model_repository/hn_oar/2"))
    parser.add_argument(
        "--other", type=Path, nargs="*", default=[], help="folders of CT series of other parts"
    )
    parser.add_argument(
        "--validation-only",
        action="store_true",
        help="only the false alarms on the validation patients: minutes",
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    contract, model = predictor(arguments.version)
    limits = contract.plausibility
    if limits is None:
        parser.error(f"{arguments.version} has no limits yet: python -m training.plausibility")
    validation = answered(openkbp_cases(arguments.data, "val"), contract, model)
    on_validation = Rates()
    false_alarms(on_validation, limits, validation, contract.labels)
    _print("validation patients", on_validation)
    if arguments.validation_only:
        return
    training = answered(openkbp_cases(arguments.data, "train"), contract, model)
    phantoms = answered((phantom_case(FIRST_PHANTOM + n) for n in range(PHANTOMS)), contract, model)
    caught = catches(limits, validation, contract, model)
    other_parts(caught, arguments.other, limits, contract, model)
    _print("training patients, five folds", folds(training, phantoms, contract, limits))
    _print("made wrong", caught)


def _print(title: str, rates: Rates) -> None:
    print(f"\n{title}\n\n| what | left out or refused |\n|---|---|")
    print("\n".join(rates.rows()))


if __name__ == "__main__":
    main()
