"""Contour styles: stated habits of drawing, applied to the structures of phantoms.

Clinics draw the same organ differently. A phantom's contours are exact; a style changes them by margins in mm, so that
what a fine-tuned network should learn is known. The CT is not changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imaging.masks.margins import Margin, contract, expand
from imaging.volumes.volume import Mask, Masks


@dataclass(frozen=True, kw_only=True)
class ContourStyle:
    """How much wider or narrower each structure is drawn that the style changes."""

    wider: Mapping[str, Margin] = field(default_factory=dict)
    narrower: Mapping[str, Margin] = field(default_factory=dict)

    def drawn(self, masks: Masks) -> Masks:
        """Return structures in this style, on their grid; those that it does not name, and empty ones, unchanged."""
        changed = {code: self._drawn(code, mask, masks) for code, mask in masks.by_code.items()}
        return Masks(grid=masks.grid, by_code=changed)

    def _drawn(self, code: str, mask: Mask, masks: Masks) -> Mask:
        if not mask.voxels():
            return mask
        if code in self.wider:
            mask = expand(mask, masks.grid, self.wider[code])
        return contract(mask, masks.grid, self.narrower[code]) if code in self.narrower else mask


def _in_plane(margin_mm: float, *, superior_mm: float = 0.0) -> Margin:
    sides = ("left_mm", "right_mm", "anterior_mm", "posterior_mm")
    return Margin(**dict.fromkeys(sides, margin_mm), superior_mm=superior_mm)


CONTOUR_STYLES: Mapping[str, ContourStyle] = {
    "exact": ContourStyle(),
    # targets 7 mm wider in plane and two 5 mm slices longer towards the head, small bowel with 5 mm round its loops
    "wide": ContourStyle(
        wider={
            "CTV": _in_plane(7.0, superior_mm=10.0),
            "GTV": _in_plane(7.0, superior_mm=10.0),
            "Bowel_Small": _in_plane(5.0),
        }
    ),
    # targets and bladder 4 mm inside their edge in plane
    "narrow": ContourStyle(
        narrower={"CTV": _in_plane(4.0), "GTV": _in_plane(4.0), "Bladder": _in_plane(4.0)}
    ),
}
