"""Training cases from phantoms: other patients each, at the spacing and crop of the real ones."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from phantoms.head_neck import STRUCTURES, head_neck_grid, make_head_neck
from phantoms.parameters import HeadNeckParameters
from training.cases import Case, Subset, bit_planes, places_of
from training.dataset import CaseRecord, write_case, write_index
from training.split import Split, load_split, save_split

_MARGIN = 2


def phantom_case(seed: int) -> Case:
    """One random phantom at about 4 mm, cropped to the body, with every structure drawn."""
    rng = np.random.default_rng([20261121, seed])
    parameters = HeadNeckParameters(couch=bool(rng.random() < 0.25)).vary(rng)
    pixel = float(rng.choice([3.9, 3.9, 4.3, 4.7]))
    slice_mm = float(rng.choice([2.5, 2.5, 3.0]))
    top, bottom = float(rng.uniform(75, 140)), float(rng.uniform(-270, -170))
    grid = head_neck_grid(
        spacing_zyx_mm=(slice_mm, pixel, pixel),
        shape_zyx=(round((top - bottom) / slice_mm), round(330 / pixel), round(500 / pixel)),
        top_mm=top,
    )
    phantom = make_head_neck(parameters, grid)
    hu = phantom.volume.array_zyx
    crop = _crop(hu)
    masks = [np.ascontiguousarray(phantom.masks.by_code[code].full(hu.shape)[crop]) for code in STRUCTURES]
    return Case(
        name=_name(seed),
        subset=Subset.TRAIN,
        hu_zyx=np.ascontiguousarray(hu[crop]),
        planes=bit_planes(masks),
        drawn=np.array([mask.any() for mask in masks]),
        places=tuple(places_of(mask, rng) for mask in masks),
        spacing_zyx_mm=grid.spacing_zyx_mm,
        synthetic=True,
    )


def write_dataset(seeds: range, folder: Path) -> None:
    """Write a prepared dataset of phantoms: a patient a seed, split once and for all, cases that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [_name(seed) for seed in seeds]
    split = (load_split(folder) or Split.fresh()).with_patients(names)
    save_split(split, folder)
    for seed, name in zip(seeds, names, strict=True):
        if not (folder / "cases" / name).exists():
            case = replace(phantom_case(seed), subset=split.patients[name])
            write_case(case, _record(case), STRUCTURES, folder)
    known = sorted(path.name for path in (folder / "cases").glob("phantom_*"))
    write_index(STRUCTURES, ((name, name) for name in known), folder)


def _name(seed: int) -> str:
    return f"phantom_{seed:05d}"


def _record(case: Case) -> CaseRecord:
    voxel_cc = float(np.prod(case.spacing_zyx_mm)) / 1000
    return CaseRecord(
        patient=case.name,
        spacing_zyx_mm=case.spacing_zyx_mm,
        shape_zyx=(case.hu_zyx.shape[0], case.hu_zyx.shape[1], case.hu_zyx.shape[2]),
        drawn={code: bool(case.drawn[i]) for i, code in enumerate(STRUCTURES)},
        volume_cc={code: round(float(case.mask(i).sum()) * voxel_cc, 3) for i, code in enumerate(STRUCTURES)},
        synthetic=True,
    )


def _crop(hu: np.ndarray) -> tuple[slice, slice, slice]:
    """All slices, and the rows and columns with anything but air, with a margin."""
    box = [slice(0, hu.shape[0])]
    for axis in (1, 2):
        filled = np.flatnonzero((hu > -900).any(axis=(0, 3 - axis)))
        box.append(slice(max(0, int(filled[0]) - _MARGIN), int(filled[-1]) + 1 + _MARGIN))
    return box[0], box[1], box[2]


def main() -> None:
    """Write a dataset of the given seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the dataset to write")
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=40)
    arguments = parser.parse_args()
    write_dataset(range(arguments.first, arguments.first + arguments.count), arguments.out)


if __name__ == "__main__":
    main()
