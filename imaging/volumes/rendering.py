"""One picture of a contoured CT: axial, coronal and sagittal through the structures, with outlines and a legend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from imaging.structures import CATALOGUE, Structure
from imaging.volumes.grid import Grid
from imaging.volumes.orientation import canonical, canonical_masks
from imaging.volumes.volume import Mask, Masks, Volume

WINDOW_CENTRE_HU, WINDOW_WIDTH_HU = 40, 400
MARGIN_MM = 60.0
PANEL_PX = 480
_GAP_PX, _LINE_PX = 12, 22
_MOST_SAMPLES = 1_000_000
_WHITE, _GREY = (255, 255, 255), (150, 150, 150)

Rgb = NDArray[np.uint8]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, kw_only=True)
class _View:
    """A plane through the volume: the axis across it, the axes down and to the right, and its letters."""

    across: int
    down: int
    right: int
    upside_down: bool
    letters: tuple[str, str, str, str]
    """At the left, right, top and bottom edge: directions in the patient."""


class _Look(NamedTuple):
    """A structure's name and colour in the picture."""

    name: str
    colour_rgb: tuple[int, int, int]


_VIEWS = (
    _View(across=0, down=1, right=2, upside_down=False, letters=("R", "L", "A", "P")),
    _View(across=1, down=0, right=2, upside_down=True, letters=("R", "L", "S", "I")),
    _View(across=2, down=0, right=1, upside_down=True, letters=("A", "P", "S", "I")),
)


def picture(
    volume: Volume, masks: Masks, title: str = "", structures: Mapping[str, Structure] = CATALOGUE
) -> Rgb:
    """Return axial, coronal and sagittal panels (height, width, 3) through the structures, axial as seen from the feet.

    Each cut is the one that meets most structures. Soft-tissue window for a CT, true proportions in mm, outlines in the
    colours of `structures` by code (grey for a code without one), names and volumes below. The panels show the
    structures and 60 mm round them; without any structure, the whole volume through its middle. Raises ValueError where
    volume and masks lie on different grids.
    """
    if volume.grid != masks.grid:
        raise ValueError("volume and masks lie on different grids")
    upright, turned = canonical(volume), canonical_masks(masks)
    box, centre = _region(turned)
    spacing = upright.grid.spacing_zyx_mm
    extent_mm = [(part.stop - part.start) * size for part, size in zip(box, spacing, strict=True)]
    scale = PANEL_PX / max(extent_mm)
    looks = {code: _look(code, structures) for code in masks.by_code}
    panels = [_panel(view, upright, turned, (box, centre, scale), looks) for view in _VIEWS]
    return _sheet(panels, turned, title, looks)


def _region(masks: Masks) -> tuple[Box, tuple[int, int, int]]:
    """Return the part of the grid to show, and the voxel through which to cut."""
    shape, spacing = masks.grid.shape_zyx, masks.grid.spacing_zyx_mm
    found = [mask for mask in masks.by_code.values() if mask.crop_zyx.any()]
    if not found:
        return _box((0, 0, 0), shape), (shape[0] // 2, shape[1] // 2, shape[2] // 2)
    low = np.min([mask.start_zyx for mask in found], axis=0)
    high = np.max([np.add(mask.start_zyx, mask.crop_zyx.shape) for mask in found], axis=0)
    margin = np.ceil(MARGIN_MM / np.array(spacing)).astype(int)
    box = _box(np.maximum(low - margin, 0).tolist(), np.minimum(high + margin, shape).tolist())
    return box, (_fullest(found, 0, shape[0]), _fullest(found, 1, shape[1]), _fullest(found, 2, shape[2]))


def _box(first: Sequence[int], last: Sequence[int]) -> Box:
    return slice(first[0], last[0]), slice(first[1], last[1]), slice(first[2], last[2])


def _fullest(masks: Sequence[Mask], axis: int, count: int) -> int:
    """Return the cut across an axis that meets most structures; of several, the one nearest to their common centre."""
    met, centres = np.zeros(count, int), []
    for mask in masks:
        here = np.asarray(mask.crop_zyx.any(axis=tuple(k for k in range(3) if k != axis)))
        start = mask.start_zyx[axis]
        met[start : start + len(here)] += here
        centres.append(start + float(np.flatnonzero(here).mean()))
    best = np.flatnonzero(met == met.max())
    return int(best[np.abs(best - np.mean(centres)).argmin()])


def _panel(
    view: _View,
    volume: Volume,
    masks: Masks,
    place: tuple[Box, tuple[int, int, int], float],
    looks: Mapping[str, _Look],
) -> Image.Image:
    (box, centre, scale), spacing = place, volume.grid.spacing_zyx_mm
    cut: list[slice | int] = list(box)
    cut[view.across] = centre[view.across]
    rows, columns = (box[axis].stop - box[axis].start for axis in (view.down, view.right))
    size = (
        max(1, round(columns * spacing[view.right] * scale)),
        max(1, round(rows * spacing[view.down] * scale)),
    )
    flip = slice(None, None, -1) if view.upside_down else slice(None)
    grey = Image.fromarray(grey_levels(volume, tuple(cut))[flip]).resize(size, Image.Resampling.BILINEAR)
    pixels = np.array(grey.convert("RGB"))
    for code, mask in masks.by_code.items():
        shown = _cut(mask, volume.grid, tuple(cut))[flip]
        if shown.any():
            drawn = Image.fromarray(shown.astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)
            pixels[_outline(np.array(drawn) > 0)] = looks[code].colour_rgb
    panel = Image.fromarray(pixels)
    _letter(panel, view.letters)
    return panel


def grey_levels(volume: Volume, part: tuple[slice | int, ...]) -> NDArray[np.uint8]:
    """Return a part of a volume in grey.

    A CT through the soft-tissue window, MR signal from its 1st to 99th percentile.
    """
    values = volume.array_zyx[part]
    low, width = WINDOW_CENTRE_HU - WINDOW_WIDTH_HU / 2, float(WINDOW_WIDTH_HU)
    if volume.array_zyx.dtype == np.float32:
        step = max(1, round((volume.array_zyx.size / _MOST_SAMPLES) ** (1 / 3)))
        low, high = np.percentile(volume.array_zyx[::step, ::step, ::step], (1, 99)).tolist()
        width = max(high - low, 1e-6)
    return np.asarray(np.clip((values - low) * (255 / width), 0, 255), np.uint8)


def _cut(mask: Mask, grid: Grid, cut: Sequence[slice | int]) -> NDArray[np.bool_]:
    """Return the plane of a mask: the same cut as through the volume, made without unpacking the whole mask."""
    plane = np.zeros(
        [n for n, part in zip(grid.shape_zyx, cut, strict=True) if isinstance(part, slice)], np.bool_
    )
    inside: list[slice | int] = []
    place: list[slice] = []
    for part, start, count in zip(cut, mask.start_zyx, mask.crop_zyx.shape, strict=True):
        if isinstance(part, slice):
            inside.append(slice(0, count))
            place.append(slice(start, start + count))
        elif start <= part < start + count:
            inside.append(part - start)
        else:
            return plane[tuple(part for part in cut if isinstance(part, slice))]
    plane[tuple(place)] = mask.crop_zyx[tuple(inside)]
    return plane[tuple(part for part in cut if isinstance(part, slice))]


def _outline(shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a drawn mask that lie within two pixels of its outside."""
    inner = np.pad(shown, 2)
    for axis in (0, 1):
        for shift in (-2, 2):
            inner &= np.roll(inner, shift, axis)
    return shown & ~inner[2:-2, 2:-2]


def _letter(panel: Image.Image, letters: tuple[str, str, str, str]) -> None:
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(16)
    width, height = panel.size
    places = (
        (4, height / 2, "lm"),
        (width - 4, height / 2, "rm"),
        (width / 2, 4, "mt"),
        (width / 2, height - 4, "mb"),
    )
    for letter, (x, y, anchor) in zip(letters, places, strict=True):
        draw.text(
            (x, y), letter, fill=_WHITE, font=font, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0)
        )


def _sheet(panels: Sequence[Image.Image], masks: Masks, title: str, looks: Mapping[str, _Look]) -> Rgb:
    """Return the picture: the title, the panels side by side, and a legend of four columns, on black."""
    width = sum(panel.width for panel in panels) + _GAP_PX * (len(panels) + 1)
    columns = max(1, min(4, width // 260))
    lines = -(-len(masks.by_code) // columns)
    top = _GAP_PX + (_LINE_PX if title else 0)
    height = top + max(panel.height for panel in panels) + _GAP_PX * 2 + _LINE_PX * lines
    sheet = Image.new("RGB", (width, height))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    draw.text((_GAP_PX, _GAP_PX - 4), title, fill=_WHITE, font=font)
    x, tallest = _GAP_PX, max(panel.height for panel in panels)
    for panel in panels:
        sheet.paste(panel, (x, top + (tallest - panel.height) // 2))
        x += panel.width + _GAP_PX
    for k, (code, mask) in enumerate(masks.by_code.items()):
        left = _GAP_PX + (k % columns) * (width // columns)
        upper = top + tallest + _GAP_PX + (k // columns) * _LINE_PX
        draw.rectangle((left, upper + 3, left + 12, upper + 15), fill=looks[code].colour_rgb)
        draw.text((left + 20, upper), _legend(looks[code].name, mask, masks.grid), fill=_WHITE, font=font)
    return np.array(sheet)


def _legend(name: str, mask: Mask, grid: Grid) -> str:
    voxels = mask.voxels()
    return f"{name}  {voxels * grid.voxel_volume_mm3 / 1000:.1f} cm3" if voxels else f"{name}  none"


def _look(code: str, structures: Mapping[str, Structure]) -> _Look:
    known = structures.get(code)
    return _Look(known.name, known.colour_rgb) if known else _Look(code, _GREY)
