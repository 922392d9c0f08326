"""Training cases from phantoms: other patients each, at the spacing and crop of the real ones."""

import argparse
from pathlib import Path

import numpy as np

from phantoms.head_neck import STRUCTURES, head_neck_grid, make_head_neck
from phantoms.parameters import HeadNeckParameters
from training.cases import Case

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
    bits = np.zeros(hu.shape, np.uint8)
    for index, code in enumerate(STRUCTURES):
        bits |= phantom.masks.by_code[code].full(hu.shape).astype(np.uint8) << index
    crop = _crop(hu)
    return Case(
        name=f"phantom_{seed:04d}",
        hu_zyx=np.ascontiguousarray(hu[crop]),
        bits_zyx=np.ascontiguousarray(bits[crop]),
        drawn=np.array([bool((bits[crop] >> i & 1).any()) for i in range(len(STRUCTURES))]),
        spacing_zyx_mm=grid.spacing_zyx_mm,
        synthetic=True,
    )


def write_case(case: Case, folder: Path) -> Path:
    """Store a case as .npz: whole or not at all under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    part, final = folder / f".{case.name}.part", folder / f"{case.name}.npz"
    with part.open("wb") as out:
        np.savez_compressed(
            out,
            hu=case.hu_zyx,
            bits=case.bits_zyx,
            drawn=case.drawn,
            spacing_zyx_mm=np.array(case.spacing_zyx_mm),
        )
    part.rename(final)
    return final


def _crop(hu: np.ndarray) -> tuple[slice, slice, slice]:  # type: ignore[type-arg]
    """All slices, and the rows and columns with anything but air, with a margin."""
    box = [slice(0, hu.shape[0])]
    for axis in (1, 2):
        filled = np.flatnonzero((hu > -900).any(axis=(0, 3 - axis)))
        box.append(slice(max(0, int(filled[0]) - _MARGIN), int(filled[-1]) + 1 + _MARGIN))
    return box[0], box[1], box[2]


def main() -> None:
    """Write cases of the given seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=40)
    arguments = parser.parse_args()
    for seed in range(arguments.first, arguments.first + arguments.count):
        print(write_case(phantom_case(seed), arguments.out))


if __name__ == "__main__":
    main()
