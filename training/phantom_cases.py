"""Training cases from phantoms: a different patient each, with the spacing and crop of real ones."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imaging.volumes.grid import Grid
from phantoms import pelvis, thorax
from phantoms.anatomy.strata import ORGANS
from phantoms.head_neck import STRUCTURES, head_neck_grid, make_head_neck
from phantoms.parameters import HeadNeckParameters
from phantoms.phantom import Phantom
from phantoms.regions import REGIONS
from phantoms.trunk import trunk_grid
from training.cases import Case, Subset, bit_planes, places_of
from training.contour_styles import CONTOUR_STYLES
from training.dataset import CaseRecord, write_case, write_index
from training.split import Split, load_split, save_split

_MARGIN = 2


@dataclass(frozen=True, kw_only=True)
class Site:
    """The structures of a site's patients, and how one is made from its seed, on voxels like those of clinical data."""

    structures: tuple[str, ...]
    draw: Callable[[int, np.random.Generator], Phantom]


def _head_neck(_seed: int, rng: np.random.Generator) -> Phantom:
    parameters = HeadNeckParameters(couch=bool(rng.random() < 0.25)).vary(rng)
    return make_head_neck(parameters, _head_neck_grid(rng))


def _head_neck_grid(rng: np.random.Generator) -> Grid:
    pixel = float(rng.choice([3.9, 3.9, 4.3, 4.7]))
    slice_mm = float(rng.choice([2.5, 2.5, 3.0]))
    top, bottom = float(rng.uniform(75, 140)), float(rng.uniform(-270, -170))
    return head_neck_grid(
        spacing_zyx_mm=(slice_mm, pixel, pixel),
        shape_zyx=(round((top - bottom) / slice_mm), round(330 / pixel), round(500 / pixel)),
        top_mm=top,
    )


def _trunk(regions: tuple[str, ...]) -> Callable[[int, np.random.Generator], Phantom]:
    """Return a maker of patients of the regions in turn, with 5 mm slices and about 3.5 mm pixels."""

    def draw(seed: int, rng: np.random.Generator) -> Phantom:
        pixel = float(rng.choice([3.3, 3.5, 3.5, 3.7]))
        grid = trunk_grid(
            spacing_zyx_mm=(5.0, pixel, pixel),
            shape_zyx=(int(rng.integers(40, 56)), round(390 / pixel), round(500 / pixel)),
            bottom_mm=float(rng.uniform(-130, -90)),
        )
        return REGIONS[regions[seed % len(regions)]](int(rng.integers(1, 2**31)), grid)

    return draw


def _strata(
    spacing_zyx_mm: tuple[float, float, float], shape_zyx: tuple[int, int, int]
) -> Callable[[int, np.random.Generator], Phantom]:
    """Return a maker of patients with the 42 organs, on one grid apart from its position."""

    def draw(_seed: int, rng: np.random.Generator) -> Phantom:
        top_mm = float(rng.uniform(85, 100))
        grid = head_neck_grid(spacing_zyx_mm=spacing_zyx_mm, shape_zyx=shape_zyx, top_mm=top_mm)
        return REGIONS["head_neck_42"](int(rng.integers(1, 2**31)), grid)

    return draw


_PELVES = ("pelvis_male", "pelvis_female")
SITES: Mapping[str, Site] = {
    "head_neck": Site(structures=STRUCTURES, draw=_head_neck),
    "head_neck_42": Site(structures=ORGANS, draw=_strata((3.0, 2.5, 2.5), (90, 112, 128))),
    "head_neck_42_coarse": Site(structures=ORGANS, draw=_strata((5.0, 4.0, 4.0), (54, 70, 80))),
    "lung": Site(structures=thorax.STRUCTURES, draw=_trunk(("thorax",))),
    "rectum": Site(structures=pelvis.STRUCTURES, draw=_trunk(_PELVES)),
    "cervix": Site(structures=pelvis.STRUCTURES, draw=_trunk(("pelvis_cervix",))),
}


def phantom_case(seed: int, site: str = "head_neck", style: str = "exact") -> Case:
    """Return one random phantom of a site, cropped to the body, with every structure drawn in a style of contours."""
    rng = np.random.default_rng([20261121, seed])
    phantom = SITES[site].draw(seed, rng)
    hu = phantom.volume.array_zyx
    crop, drawn = _crop(hu), CONTOUR_STYLES[style].drawn(phantom.masks).by_code
    masks = [np.ascontiguousarray(drawn[code].full(hu.shape)[crop]) for code in SITES[site].structures]
    return Case(
        name=_name(seed),
        subset=Subset.TRAIN,
        hu_zyx=np.ascontiguousarray(hu[crop]),
        planes=bit_planes(masks),
        drawn=np.array([mask.any() for mask in masks]),
        places=tuple(places_of(mask, rng) for mask in masks),
        spacing_zyx_mm=phantom.volume.grid.spacing_zyx_mm,
        synthetic=True,
    )


def write_dataset(seeds: range, folder: Path, site: str = "head_neck", style: str = "exact") -> None:
    """Write a prepared dataset of phantoms: one patient per seed, with a permanent split; existing cases are kept."""
    structures = SITES[site].structures
    folder.mkdir(parents=True, exist_ok=True)
    names = [_name(seed) for seed in seeds]
    split = (load_split(folder) or Split.fresh()).with_patients(names)
    save_split(split, folder)
    for seed, name in zip(seeds, names, strict=True):
        if not (folder / "cases" / name).exists():
            case = replace(phantom_case(seed, site, style), subset=split.patients[name])
            write_case(case, _record(case, structures), structures, folder)
    known = sorted(path.name for path in (folder / "cases").glob("phantom_*"))
    write_index(structures, ((name, name) for name in known), folder)


def _name(seed: int) -> str:
    return f"phantom_{seed:05d}"


def _record(case: Case, structures: tuple[str, ...]) -> CaseRecord:
    voxel_cc = float(np.prod(case.spacing_zyx_mm)) / 1000
    return CaseRecord(
        patient=case.name,
        spacing_zyx_mm=case.spacing_zyx_mm,
        shape_zyx=(case.hu_zyx.shape[0], case.hu_zyx.shape[1], case.hu_zyx.shape[2]),
        drawn={code: bool(case.drawn[i]) for i, code in enumerate(structures)},
        volume_cc={code: round(float(case.mask(i).sum()) * voxel_cc, 3) for i, code in enumerate(structures)},
        synthetic=True,
    )


def _crop(hu: np.ndarray) -> tuple[slice, slice, slice]:
    """Return a crop to all slices and to the rows and columns with anything but air, plus a margin."""
    box = [slice(0, hu.shape[0])]
    for axis in (1, 2):
        filled = np.flatnonzero((hu > -900).any(axis=(0, 3 - axis)))
        box.append(slice(max(0, int(filled[0]) - _MARGIN), int(filled[-1]) + 1 + _MARGIN))
    return box[0], box[1], box[2]


def main() -> None:
    """Write a dataset of the given seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the dataset to write")
    parser.add_argument("--site", choices=sorted(SITES), default="head_neck")
    parser.add_argument(
        "--style", choices=sorted(CONTOUR_STYLES), default="exact", help="how structures are drawn"
    )
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=40)
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    write_dataset(seeds, arguments.out, arguments.site, arguments.style)


if __name__ == "__main__":
    main()
