"""The regions that a phantom can be made of, by name: the head and neck now, room for others."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import numpy as np

from imaging.volumes.grid import Grid
from phantoms.head_neck import make_head_neck
from phantoms.parameters import HeadNeckParameters
from phantoms.phantom import Phantom


class MakePhantom(Protocol):
    """A region's maker: a seed draws the patient (0 is the middle-sized one), the grid says where it is seen."""

    def __call__(self, seed: int, grid: Grid | None = None) -> Phantom:
        """The phantom of ``seed`` on ``grid``, or on the region's own clinical grid."""
        ...


def head_neck_of_seed(seed: int, grid: Grid | None = None) -> Phantom:
    """The head-and-neck patient of a seed."""
    how = HeadNeckParameters()
    if seed:
        how = how.vary(np.random.default_rng(seed))
    return make_head_neck(how, grid)


REGIONS: Mapping[str, MakePhantom] = MappingProxyType({"head_neck": head_neck_of_seed})
