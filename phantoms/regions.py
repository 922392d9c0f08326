"""The body regions of which phantoms can be made, by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np

from imaging.volumes.grid import Grid
from phantoms.head_neck import make_head_neck
from phantoms.head_neck_42 import make_head_neck_42
from phantoms.parameters import HeadNeckParameters
from phantoms.pelvis import make_pelvis
from phantoms.phantom import Phantom
from phantoms.thorax import make_thorax
from phantoms.trunk import PelvisParameters, ThoraxParameters


class MakePhantom(Protocol):
    """The maker of a region's phantoms: a seed draws the patient (0 is the average one), the grid is the scan's."""

    def __call__(self, seed: int, grid: Grid | None = None) -> Phantom:
        """Return the phantom of ``seed`` on ``grid``, or on the region's own clinical grid."""
        ...


def head_neck_of_seed(seed: int, grid: Grid | None = None) -> Phantom:
    """Return the head-and-neck patient of a seed."""
    return make_head_neck(_head_neck(seed), grid)


def head_neck_42_of_seed(seed: int, grid: Grid | None = None) -> Phantom:
    """Return the head-and-neck patient of a seed, with 42 organs."""
    return make_head_neck_42(_head_neck(seed), grid)


def thorax_of_seed(seed: int, grid: Grid | None = None) -> Phantom:
    """Return the patient of a seed with a lung tumour."""
    how = ThoraxParameters()
    return make_thorax(how.vary(np.random.default_rng(seed)) if seed else how, grid)


def pelvis_male_of_seed(seed: int, grid: Grid | None = None) -> Phantom:
    """Return the man of a seed with rectal cancer."""
    return _pelvis(PelvisParameters(sex="M"), seed, grid)


def pelvis_female_of_seed(seed: int, grid: Grid | None = None) -> Phantom:
    """Return the woman of a seed with rectal cancer."""
    return _pelvis(PelvisParameters(sex="F"), seed, grid)


def pelvis_cervix_of_seed(seed: int, grid: Grid | None = None) -> Phantom:
    """Return the woman of a seed with an applicator for cervical brachytherapy."""
    return _pelvis(PelvisParameters(sex="F", applicator=True), seed, grid)


def _head_neck(seed: int) -> HeadNeckParameters:
    how = HeadNeckParameters()
    return how.vary(np.random.default_rng(seed)) if seed else how


def _pelvis(how: PelvisParameters, seed: int, grid: Grid | None) -> Phantom:
    return make_pelvis(how.vary(np.random.default_rng(seed)) if seed else how, grid)


REGIONS: Mapping[str, MakePhantom] = MappingProxyType(
    {
        "head_neck": head_neck_of_seed,
        "head_neck_42": head_neck_42_of_seed,
        "thorax": thorax_of_seed,
        "pelvis_male": pelvis_male_of_seed,
        "pelvis_female": pelvis_female_of_seed,
        "pelvis_cervix": pelvis_cervix_of_seed,
    }
)
