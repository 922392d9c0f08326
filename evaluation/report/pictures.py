"""Pictures of one structure in three planes.

Each shows the CT with the outlines of the reference and the other set where they differ most.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from evaluation.pair import MaskPair
from imaging.volumes.crops import cut_out, put_back
from imaging.volumes.rendering import grey_levels
from imaging.volumes.volume import Volume

REFERENCE_RGB, FOUND_RGB = (0, 220, 255), (255, 140, 0)
MARGIN_MM = 35.0
PANEL_PX = 460
_GAP_PX = 6
Rgb = NDArray[np.uint8]
Mask3 = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class _View:
    """A plane: the axis across it, its name, whether it is drawn from its lower end, and the letters at its edges."""

    axis: int
    name: str
    upside_down: bool
    letters: tuple[str, str, str, str]


_VIEWS = (
    _View(axis=0, name="axial", upside_down=False, letters=("R", "L", "A", "P")),
    _View(axis=1, name="coronal", upside_down=True, letters=("R", "L", "S", "I")),
    _View(axis=2, name="sagittal", upside_down=True, letters=("A", "P", "S", "I")),
)


def three_planes(pair: MaskPair, volume: Volume | None) -> bytes:
    """Return a PNG of an axial, a coronal and a sagittal cut, where the masks differ most (equal ones: are largest).

    The reference is cyan, the other set orange; without a CT the background is black. The axial cut is seen from the
    feet.
    """
    margins = [round(MARGIN_MM / s) for s in pair.grid.spacing_zyx_mm]
    region = pair.box.grown(margins, margins).within(pair.grid.shape_zyx)
    masks = [cut_out(put_back(array, pair.box), region) for array in (pair.reference_zyx, pair.found_zyx)]
    ground = np.zeros(region.shape, np.uint8)
    if volume is not None:
        z, y, x = (slice(a, b) for a, b in zip(region.start, region.stop, strict=True))
        ground = grey_levels(volume, (z, y, x))
    panels = [_panel(view, ground, masks, pair.grid.spacing_zyx_mm, region.start) for view in _VIEWS]
    width = sum(panel.width for panel in panels) + _GAP_PX * (len(panels) - 1)
    sheet = Image.new("RGB", (width, max(panel.height for panel in panels)), (255, 255, 255))
    left = 0
    for panel in panels:
        sheet.paste(panel, (left, 0))
        left += panel.width + _GAP_PX
    buffer = io.BytesIO()
    _with_palette(np.array(sheet)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _with_palette(rgb: Rgb) -> Image.Image:
    """Return the picture in 250 greys and the two outlines' colours: a third of the bytes, and exact colours."""
    index = np.asarray(rgb[..., 0] * (249 / 255), np.uint8)
    colours = (REFERENCE_RGB, FOUND_RGB)
    for k, colour in enumerate(colours):
        index[(rgb == colour).all(axis=-1)] = 250 + k
    image = Image.fromarray(index, "P")
    greys = np.repeat(np.round(np.arange(250) * (255 / 249)).astype(int), 3).tolist()
    image.putpalette([*greys, *REFERENCE_RGB, *FOUND_RGB])
    return image


def _panel(
    view: _View,
    ground: NDArray[np.uint8],
    masks: Sequence[Mask3],
    spacing_zyx_mm: tuple[float, float, float],
    start: tuple[int, int, int],
) -> Image.Image:
    index = _worst(masks, view.axis)
    rows_mm, columns_mm = (
        n * s for k, (n, s) in enumerate(zip(ground.shape, spacing_zyx_mm, strict=True)) if k != view.axis
    )
    scale = PANEL_PX / max(rows_mm, columns_mm)
    size = max(1, round(columns_mm * scale)), max(1, round(rows_mm * scale))
    flip = slice(None, None, -1) if view.upside_down else slice(None)
    grey = Image.fromarray(np.ascontiguousarray(np.take(ground, index, view.axis)[flip]))
    pixels = np.array(grey.resize(size, Image.Resampling.BILINEAR).convert("RGB"))
    for mask, rgb in zip(masks, (REFERENCE_RGB, FOUND_RGB), strict=True):
        plane = np.take(mask, index, view.axis)[flip].astype(np.uint8) * 255
        drawn = np.array(Image.fromarray(plane).resize(size, Image.Resampling.NEAREST)) > 0
        pixels[_outline(drawn)] = rgb
    slice_word = "slice " if view.axis == 0 else ""
    return _lettered(
        Image.fromarray(pixels), f"{view.name}, {slice_word}{index + start[view.axis]}", view.letters
    )


def _worst(masks: Sequence[Mask3], axis: int) -> int:
    """Return the cut with most voxels that only one mask has; where both are equal, the one with most voxels."""
    others = tuple(k for k in range(3) if k != axis)
    differing = (masks[0] ^ masks[1]).sum(axis=others)
    if not differing.any():
        differing = masks[0].sum(axis=others)
    return int(differing.argmax())


def _outline(shown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the pixels of a drawn mask that lie within two pixels of its outside."""
    inner = np.pad(shown, 2)
    for axis in (0, 1):
        for shift in (-2, 2):
            inner &= np.roll(inner, shift, axis)
    return np.asarray(shown & ~inner[2:-2, 2:-2], np.bool_)


def _lettered(panel: Image.Image, title: str, letters: tuple[str, ...]) -> Image.Image:
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(13)
    width, height = panel.size
    places = (
        (4, height / 2, "lm"),
        (width - 4, height / 2, "rm"),
        (width / 2, 3, "mt"),
        (width / 2, height - 3, "mb"),
    )
    words = [*zip(letters, places, strict=True), (title, (4, 3, "lt"))]
    for text, (x, y, anchor) in words:
        draw.text(
            (x, y),
            text,
            fill=(255, 255, 255),
            font=font,
            anchor=anchor,
            stroke_width=2,
            stroke_fill=(0, 0, 0),
        )
    return panel
