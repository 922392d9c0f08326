"""What a destination accepts: one profile for each kind of planning system, validated when it is created.

`docs/profiles.md` gives the reason for every value, and says which of them have not been verified on such a system.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from imaging.contours.hole_encoding import HoleEncoding

LABEL_LIMIT = 16  # Structure Set Label (3006,0002), SH
SERIES_DESCRIPTION_LIMIT = 64  # Series Description (0008,103E), LO
DESCRIPTION_LIMIT = 1024  # Structure Set Description (3006,0006), ST
PLACEHOLDERS = frozenset({"label", "description", "model", "version", "date", "time", "profile"})


class Characters(StrEnum):
    """The characters that names, label and descriptions may have: printable ASCII, or all of the CT's own set."""

    ASCII = "ascii"
    AS_CT = "as_ct"


class TransferSyntax(StrEnum):
    """How the file is encoded. Contours are often too long for Explicit VR (2-byte lengths)."""

    IMPLICIT = "implicit"
    EXPLICIT = "explicit"


class Boundary(StrEnum):
    """Where polygons run: along the voxels' edges, or near them as `imaging.contours.boundary` bounds it."""

    EXACT = "exact"
    DECIMATED = "decimated"
    SMOOTH = "smooth"


class EmptyRois(StrEnum):
    """What happens to a structure without voxels."""

    OMIT = "omit"
    KEEP = "keep"


@dataclass(frozen=True, kw_only=True)
class ExportProfile:
    """How structure sets for one destination are made, and what validation requires of them.

    Names are always made unique regardless of case; `unique_names` says whether validation calls duplicates an error.
    `most_points`: a longer contour is decimated within `tolerance_mm`, then split, and this is recorded; 0 is no limit.
    `volume_tolerance` is the share of an ROI's voxels that may differ from its mask when the file is read back.
    """

    name: str
    name_length: int = 64
    characters: Characters = Characters.AS_CT
    unique_names: bool = True
    holes: HoleEncoding = HoleEncoding.KEYHOLE
    transfer_syntax: TransferSyntax = TransferSyntax.IMPLICIT
    decimals: int = 3
    boundary: Boundary = Boundary.EXACT
    tolerance_mm: float = 0.5
    most_points: int = 0
    smallest_island_mm2: float = 0.0
    smallest_hole_mm2: float = 0.0
    one_external: bool = True
    empty_rois: EmptyRois = EmptyRois.OMIT
    image_per_contour: bool = True
    volume_tolerance: float = 0.0
    label: str = "{label}"
    description: str = "{description}"
    series_description: str = "Contour Node structures"

    def __post_init__(self) -> None:
        """Refuse values from which no structure set can be made; the message names the field and its range."""
        self._between("name_length", self.name_length, 12, 64)
        self._between("decimals", self.decimals, 2, 6)
        self._between("tolerance_mm", self.tolerance_mm, 0.01, 5)
        self._between("smallest_island_mm2", self.smallest_island_mm2, 0, 1000)
        self._between("smallest_hole_mm2", self.smallest_hole_mm2, 0, 1000)
        self._between("volume_tolerance", self.volume_tolerance, 0, 0.2)
        if self.most_points:
            self._between("most_points", self.most_points, 16, 1_000_000)
        if not self.name.isidentifier():
            raise ValueError(f"profile name is '{self.name}': letters, digits and underscores")
        if self.boundary is Boundary.DECIMATED and self.volume_tolerance == 0:
            raise ValueError(f"profile {self.name}: a decimated boundary needs a volume_tolerance above 0")
        for field in ("label", "description", "series_description"):
            self._check_pattern(field, str(getattr(self, field)))

    def _between(self, field: str, value: float, low: float, high: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"profile {self.name}: {field} is {value:g}, expected {low:g} to {high:g}")

    def _check_pattern(self, field: str, pattern: str) -> None:
        try:
            named = {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}
        except ValueError as error:
            raise ValueError(f"profile {self.name}: {field} '{pattern}' is no pattern: {error}") from error
        unknown = sorted(named - PLACEHOLDERS)
        if unknown or not pattern.strip():
            known = ", ".join(f"{{{name}}}" for name in sorted(PLACEHOLDERS))
            raise ValueError(f"profile {self.name}: {field} is '{pattern}', expected words and {known}")


def _planning_system(name: str) -> ExportProfile:
    """Return Eclipse's profile as far as it is known; it is also the cautious choice for less known systems."""
    return ExportProfile(name=name, name_length=16, characters=Characters.ASCII, most_points=1700)


_STANDARD = ExportProfile(
    name="standard",
    decimals=4,
    unique_names=False,
    one_external=False,
    image_per_contour=False,
)

PROFILES: Mapping[str, ExportProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            _STANDARD,
            _planning_system("eclipse"),
            _planning_system("raystation"),
            _planning_system("monaco"),
            _planning_system("pinnacle"),
        )
    }
)
