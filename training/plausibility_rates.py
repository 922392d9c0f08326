"""How often a model's limits cry wolf, and what they catch: python -m training.plausibility_rates --data ...

False alarms are counted on the validation patients, and on the training patients in five folds, each judged by limits
that were learned without it. Catches are counted on what the validation patients' structures become when they are made
wrong on purpose, and on the model's answers for CTs turned upside down or back to front and for other parts of the body.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.overlap import dice
from imaging.anatomy import body_profile, estimate_regions, placements
from imaging.ct import SourceFile, read_ct
from imaging.orientation import canonical
from imaging.volume import Mask, Volume
from inference.judgement import judge, region_finding
from inference.plausibility import Plausibility
from inference.server.pipelines.sliding_window import Predict
from inference.spec import ModelSpec
from training.cases import Case, openkbp_cases
from training.plausibility import (
    FIRST_PHANTOM,
    PHANTOMS,
    RIGHT_DICE,
    Sample,
    found_in,
    learn,
    predictor,
    samples_of,
    volume_of,
)
from training.phantom_cases import phantom_case

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
        """The structures found that agree with what was drawn."""
        shape = volume_of(self.case).grid.shape_zyx
        drawn = {code: self.case.mask(i) for i, code in enumerate(labels) if self.case.drawn[i]}
        return {
            code: mask
            for code, mask in self.found.items()
            if code in drawn and mask.voxels() and dice(mask.full(shape), drawn[code]) >= GOOD_DICE
        }


class Tally:
    """Left out of how many, a row a kind."""

    def __init__(self) -> None:
        self._all, self._out = Counter[str](), Counter[str]()

    def add(self, kind: str, limits: Plausibility, volume: Volume, masks: Masks, only: Sequence[str]) -> None:
        """Judge a case and count those of its structures that a row is about."""
        profile = body_profile(volume)
        regions = estimate_regions(profile)
        out = {
            f.structure
            for f in judge(limits, placements(masks, volume, profile, regions))
            if f.is_implausible
        }
        self._all[f"{kind}: structures left out"] += len(only)
        self._out[f"{kind}: structures left out"] += len(out & set(only))
        self._all[f"{kind}: series refused"] += 1
        self._out[f"{kind}: series refused"] += region_finding(limits, regions) is not None

    def rows(self) -> Iterator[str]:
        """The table's lines."""
        for kind, count in self._all.items():
            if count:
                yield f"| {kind} | {self._out[kind]} of {count} |"


def answered(cases: Iterator[Case], spec: ModelSpec, predict: Predict) -> list[Answered]:
    """The model's answers for cases."""
    return [Answered(case=case, found=found_in(volume_of(case), spec, predict)) for case in cases]


def false_alarms(tally: Tally, limits: Plausibility, cases: Sequence[Answered], labels: Sequence[str]) -> None:
    """Structures that are right, among all that the model found in the case."""
    for one in cases:
        tally.add("right", limits, volume_of(one.case), one.found, tuple(one.right(labels)))


def folds(
    cases: Sequence[Answered], phantoms: Sequence[Answered], spec: ModelSpec, like: Plausibility
) -> Tally:
    """False alarms on patients that the limits were not learned from."""
    tally = Tally()
    always = [s for one in phantoms for s in samples_of(one.case, spec.labels, one.found)]
    for fold in range(FOLDS):
        held_out = cases[fold::FOLDS]
        others = [one for one in cases if one not in held_out]
        samples: list[Sample] = [s for one in others for s in samples_of(one.case, spec.labels, one.found)]
        limits = learn([*samples, *always], spec.labels, like.regions, "folds")
        false_alarms(tally, limits, held_out, spec.labels)
    return tally


def made_wrong(right: Masks, pairs: Sequence[tuple[str, str]], shape: tuple[int, int, int], steps: NDArray[np.float64]
) -> Iterator[tuple[str, dict[str, Mask], tuple[str, ...]]]:
    """What happens to structures: the kind, all masks of the case, and those of them that are wrong."""
    for a, b in pairs:
        if a in right and b in right:
            yield f"{a} and {b} swapped", {**right, a: right[b], b: right[a]}, (a, b)
    for code, mask in right.items():
        for mm in SHIFTS_MM:
            for axis, name in enumerate(("up or down", "forwards or back", "sideways")):
                for sign in (-1, 1):
                    moved = _moved(mask, axis, round(sign * mm / steps[axis]), shape)
                    if moved is not None:
                        yield f"moved {mm:.0f} mm {name}", {**right, code: moved}, (code,)
        yield f"the lowest {KEPT:.0%} alone", {**right, code: _fragment(mask)}, (code,)
        for other in right:
            if other != code and {code, other} not in [set(pair) for pair in pairs]:
                yield "another structure under its name", {**right, code: right[other]}, (code,)


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
    """The CT in orientations that its headers do not state."""
    for kind, axes in (("upside down", 0), ("back to front", 1), ("head to feet, face down", (0, 1))):
        flipped = np.ascontiguousarray(np.flip(volume.array_zyx, axes))
        yield f"CT {kind}", Volume(array_zyx=flipped, grid=volume.grid)


def catches(limits: Plausibility, cases: Sequence[Answered], spec: ModelSpec, predict: Predict) -> Tally:
    """What is left out of structures that are wrong."""
    tally = Tally()
    for one in cases:
        volume, right = volume_of(one.case), one.right(spec.labels)
        steps = np.array(volume.grid.spacing_zyx_mm)
        wrong = made_wrong(right, spec.pipeline.mirrored_pairs, volume.grid.shape_zyx, steps)
        for kind, masks, codes in wrong:
            tally.add(kind, limits, volume, masks, codes)
        for kind, other in turned(volume):
            _add_answer(tally, kind, limits, other, found_in(other, spec, predict))
    return tally


def other_parts(
    tally: Tally, folders: Sequence[Path], limits: Plausibility, spec: ModelSpec, predict: Predict
) -> None:
    """The model's answers for CTs that do not show what it is for."""
    for folder in folders:
        files = [SourceFile(name=p.name, data=p.read_bytes()) for p in sorted(folder.glob("*.dcm"))]
        volume = canonical(read_ct(files).volume)
        _add_answer(tally, "another part of the body", limits, volume, found_in(volume, spec, predict))


def _add_answer(tally: Tally, kind: str, limits: Plausibility, volume: Volume, found: Masks) -> None:
    codes = tuple(code for code, mask in found.items() if mask.voxels())
    tally.add(kind, limits, volume, found, codes)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the OpenKBP folder")
    parser.add_argument("--model", type=Path, default=Path("model_repository/hn_oar"))
    parser.add_argument("--other", type=Path, nargs="*", default=[], help="folders of CT series of other parts")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    spec, predict = predictor(arguments.model)
    limits = spec.plausibility
    if limits is None:
        parser.error(f"{arguments.model} has no limits yet: python -m training.plausibility")
    validation = answered(openkbp_cases(arguments.data, "val"), spec, predict)
    training = answered(openkbp_cases(arguments.data, "train"), spec, predict)
    phantoms = answered((phantom_case(FIRST_PHANTOM + n) for n in range(PHANTOMS)), spec, predict)
    on_validation = Tally()
    false_alarms(on_validation, limits, validation, spec.labels)
    caught = catches(limits, validation, spec, predict)
    other_parts(caught, arguments.other, limits, spec, predict)
    for title, tally in (
        ("validation patients", on_validation),
        ("training patients, five folds", folds(training, phantoms, spec, limits)),
        ("made wrong", caught),
    ):
        print(f"\n{title}\n\n| what | left out or refused |\n|---|---|")
        print("\n".join(tally.rows()))


if __name__ == "__main__":
    main()
