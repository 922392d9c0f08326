"""How structure sets for a destination are written: its profile, with what its settings change of it."""

import dataclasses
from typing import NamedTuple

from imaging.export.profiles import PROFILES, Boundary, ExportProfile
from service.config import Destination

DECIMATED_VOLUME_TOLERANCE = 0.2
"""A decimated boundary is bounded in mm; this share of an ROI's voxels is the limit against gross error."""


class EffectiveProfile(NamedTuple):
    """A profile and what to call it: its name, and the boundary where a destination has one of its own."""

    called: str
    profile: ExportProfile


def written_for(destination: Destination) -> EffectiveProfile:
    """The profile that a destination gets. Those that are called alike are the same."""
    profile = PROFILES[destination.profile]
    boundary = destination.boundary or profile.boundary
    tolerance_mm = destination.boundary_tolerance_mm or profile.tolerance_mm
    if (boundary, tolerance_mm) == (profile.boundary, profile.tolerance_mm):
        return EffectiveProfile(profile.name, profile)
    changed = dataclasses.replace(
        profile,
        boundary=boundary,
        tolerance_mm=tolerance_mm,
        volume_tolerance=_volume_tolerance(profile, boundary),
    )
    return EffectiveProfile(f"{profile.name} {boundary} {tolerance_mm:g} mm", changed)


def _volume_tolerance(profile: ExportProfile, boundary: Boundary) -> float:
    if boundary is Boundary.DECIMATED:
        return max(profile.volume_tolerance, DECIMATED_VOLUME_TOLERANCE)
    return profile.volume_tolerance
