"""Random patches of cases, varied as patients, scanners and couches vary."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from training.cases import Case


class Augmentation(BaseModel):
    """How much a patch may be varied, and where it is cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    anywhere_share: float = Field(default=0.15, ge=0.0, le=1.0)  # of patches, not centred on a structure
    ends_share: float = Field(
        default=0.0, ge=0.0, le=1.0
    )  # of the others, centred on a structure's first or last slice
    affine_share: float = Field(default=0.7, ge=0.0, le=1.0)
    mirror_share: float = Field(default=0.5, ge=0.0, le=1.0)
    angle_deg: float = Field(default=12.0, ge=0.0, le=180.0)
    scale_range: tuple[float, float] = (0.85, 1.18)
    shift: float = Field(default=0.0, ge=0.0, lt=0.5)  # of a patch's rows and columns, of affine ones
    hu_shift: float = Field(default=30.0, ge=0.0)
    hu_gain: float = Field(default=0.06, ge=0.0, lt=1.0)
    noise_hu: float = Field(default=25.0, ge=0.0)
    couch_share: float = Field(default=0.25, ge=0.0, le=1.0)


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """The size of patches, how often each structure is centred on, and each one's partner in a mirror image."""

    patch_zyx: tuple[int, int, int]
    structure_weights: tuple[float, ...]
    mirror_order: tuple[int, ...]  # structure i of a patch is structure mirror_order[i] of its mirror image
    augmentation: Augmentation


class Maps(Protocol):
    """Additional maps of a case, which are cut, rotated and mirrored with its CT."""

    @property
    def mirror_order(self) -> tuple[int, ...]:
        """The order of maps in the mirror image: map i of a patch is map mirror_order[i] there."""

    def cut(self, start: NDArray[np.int_], size: tuple[int, ...]) -> torch.Tensor:
        """Return a block (map, z, y, x), float32; 0 beyond the case."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """HU (z, y, x), labels 0..1 (structure, z, y, x), which structures were drawn, and other maps (map, z, y, x)."""

    hu: torch.Tensor
    labels: torch.Tensor
    drawn: torch.Tensor
    maps: torch.Tensor | None = None

    def mirrored(self, order: Sequence[int], map_order: Sequence[int] = ()) -> "Patch":
        """Return the left-right mirror image; its structure i is structure order[i] of this patch."""
        return Patch(
            hu=self.hu.flip(-1),
            labels=self.labels[list(order)].flip(-1),
            drawn=self.drawn[list(order)],
            maps=None if self.maps is None else self.maps[list(map_order)].flip(-1),
        )


def draw_patch(
    case: Case,
    how: Cutting,
    rng: np.random.Generator,
    maps: Maps | None = None,
    centre: NDArray[np.float64] | None = None,
) -> Patch:
    """Cut one patch of ``how.patch_zyx`` voxels, mostly centred on a structure, and vary it.

    ``centre`` is an index (z, y, x) on which to centre instead.
    """
    at, vary = _centre(case, how, rng) if centre is None else centre, how.augmentation
    if rng.random() < vary.affine_share:
        hu, labels, further = _affine_patch(case, at, how, rng, maps)
    else:
        hu, labels, further = _plain_patch(case, at, how.patch_zyx, maps)
    patch = Patch(hu=hu, labels=labels, drawn=torch.from_numpy(case.drawn.copy()), maps=further)
    if rng.random() < vary.mirror_share:
        patch = patch.mirrored(how.mirror_order, () if maps is None else maps.mirror_order)
    return replace(patch, hu=_vary_intensity(patch.hu, vary, rng))


def _centre(case: Case, how: Cutting, rng: np.random.Generator) -> NDArray[np.float64]:
    shape = np.array(case.hu_zyx.shape)
    half = np.array(how.patch_zyx) / 2
    there = np.array([len(places) > 0 for places in case.places])
    weights = np.where(case.drawn & there, how.structure_weights, 0.0)
    if rng.random() < how.augmentation.anywhere_share or not weights.any():
        centre = rng.random(3) * shape
    else:
        places = case.places[rng.choice(len(weights), p=weights / weights.sum())]
        if rng.random() < how.augmentation.ends_share:
            end = places[:, 0].min() if rng.random() < 0.5 else places[:, 0].max()
            places = places[places[:, 0] == end]
        centre = places[rng.integers(len(places))] + (rng.random(3) - 0.5) * half
    # keep the patch inside a larger volume, or a smaller volume inside the patch
    low, high = np.minimum(half, shape / 2), np.maximum(shape - half, shape / 2)
    return np.asarray(np.clip(centre, low, high), np.float64)


_Cut = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]  # HU, labels, additional maps


def _plain_patch(case: Case, centre: NDArray[np.float64], size: tuple[int, ...], maps: Maps | None) -> _Cut:
    start = np.round(centre - np.array(size) / 2).astype(int)
    hu = torch.from_numpy(cut_block(case.hu_zyx, start, size, -1000)).to(torch.float32)
    return hu, _labels(case, start, size), None if maps is None else maps.cut(start, size)


def _affine_patch(
    case: Case, centre: NDArray[np.float64], how: Cutting, rng: np.random.Generator, maps: Maps | None
) -> _Cut:
    """Cut a patch rotated and scaled about its centre, in mm, from a slightly larger block."""
    size = np.array(how.patch_zyx)
    block = np.ceil(size * 1.35).astype(int)
    block += (block - size) % 2 * (size % 2)  # with an odd number of slices, the middle one stays a slice
    hu, labels, further = _plain_patch(case, centre, tuple(block), maps)
    theta = torch.from_numpy(_index_affine(case, size, block, how.augmentation, rng)[None]).to(torch.float32)
    grid = F.affine_grid(theta, [1, 1, *size.tolist()], align_corners=False)
    stacked = torch.cat([hu[None] + 1000.0, labels, *(() if further is None else (further,))])
    out = F.grid_sample(stacked[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    last = 1 + len(labels)
    return out[0] - 1000.0, (out[1:last] > 0.5).to(torch.float32), None if further is None else out[last:]


def _index_affine(
    case: Case, size: NDArray[np.int_], block: NDArray[np.int_], how: Augmentation, rng: np.random.Generator
) -> NDArray[np.float64]:
    spacing = np.array(case.spacing_zyx_mm)
    angles = np.deg2rad(rng.uniform(-1, 1, 3) * how.angle_deg * np.array([1.0, 0.5, 0.5]))
    rotation = _rotation(angles)
    scales = np.exp(rng.uniform(*np.log(how.scale_range)) + rng.uniform(-0.06, 0.06, 3))
    index_from_index = np.diag(1 / spacing) @ rotation @ np.diag(spacing / scales)
    normalised = np.diag(1 / block) @ index_from_index @ np.diag(size.astype(float))
    reverse = normalised[::-1, ::-1]  # torch orders the axes x, y, z
    shift = np.zeros(3)
    if how.shift:
        shift[:2] = 2 * how.shift * rng.uniform(-1, 1, 2) * (size / block)[:0:-1]
    return np.concatenate([reverse, shift[:, None]], axis=1)


def _rotation(angles_zyx: NDArray[np.float64]) -> NDArray[np.float64]:
    result = np.eye(3)
    for axis, angle in enumerate(angles_zyx):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        result = result @ turn
    return result


def _vary_intensity(hu: torch.Tensor, how: Augmentation, rng: np.random.Generator) -> torch.Tensor:
    air = hu <= -990
    hu = hu * (1 + rng.uniform(-1, 1) * how.hu_gain) + rng.uniform(-1, 1) * how.hu_shift
    if rng.random() < 0.5:
        noise = torch.from_numpy(rng.standard_normal(hu.shape, dtype=np.float32))
        hu = hu + noise * float(rng.random() * how.noise_hu)
    hu = torch.where(air, torch.full_like(hu, -1000.0), hu)
    if rng.random() < how.couch_share:
        hu = _with_couch(hu, air, rng)
    return hu


def _with_couch(hu: torch.Tensor, air: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Put a couch or head rest behind the patient: the training CTs were blanked there, a clinic's are not."""
    rows = torch.nonzero((~air).any(dim=2).any(dim=0))
    if len(rows) == 0:
        return hu
    top = int(rows[-1]) + int(rng.integers(-1, 3))
    bottom = top + int(rng.integers(1, 8))
    slab = torch.zeros_like(air)
    slab[:, max(top, 0) : bottom] = True
    return torch.where(slab & air, torch.full_like(hu, float(rng.uniform(-950, 50))), hu)


def cut_block(
    array: NDArray[np.generic], start: NDArray[np.int_], size: tuple[int, ...], outside: int
) -> NDArray[np.generic]:
    """Return a block (z, y, x) of an array from ``start``; voxels beyond the array are ``outside``."""
    out = np.full(size, outside, array.dtype)
    low = np.maximum(start, 0)
    high = np.minimum(start + np.array(size), array.shape)
    if (high > low).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        target = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        out[target] = array[source]
    return out


def _labels(case: Case, start: NDArray[np.int_], size: tuple[int, ...]) -> torch.Tensor:
    planes = [torch.from_numpy(cut_block(plane, start, size, 0)) for plane in case.planes]
    places = (case.bit(i) for i in range(len(case.drawn)))
    bits = [(planes[bit // 8] >> (bit % 8)) & 1 for bit in places]
    return torch.stack(bits).to(torch.float32)
