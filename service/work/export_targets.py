"""The structure sets that a job needs: one for each export profile among its destinations."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from imaging.export.profiles import PROFILES, Boundary, ExportProfile
from service.config import Destination, JobPurpose, Settings
from service.errors import Refused
from service.store import ClaimedJob
from service.work.case import PipelineRequest

DECIMATED_VOLUME_TOLERANCE = 0.2
"""A decimated boundary is bounded in mm; this share of an ROI's voxels is the limit against gross error."""


@dataclass(frozen=True, kw_only=True)
class ExportTarget:
    """One structure set to make: its profile, and the destinations that get it.

    For fallback destinations, `standby` names the destinations that each stands in for.
    """

    profile_name: str
    profile: ExportProfile
    destinations: tuple[str, ...]
    standby: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class EffectiveProfile(NamedTuple):
    """A destination's profile with its own boundary settings, and the name of that combination."""

    name: str
    profile: ExportProfile


def delivered_to(job: ClaimedJob, request: PipelineRequest) -> tuple[str, ...]:
    """Return the destinations of a job: none unless it is clinical.

    Raises:
        Refused: the rule returns its results to a sender without an address.
    """
    if job.purpose is not JobPurpose.CLINICAL:
        return ()
    names = request.settings.destinations_for(request.rule, job.calling_aet)
    if request.rule.return_to_sender and not names:
        raise Refused(
            f"rule {request.rule.name} returns the structure set to the sender, but no peer with host and port has the "
            f"AE title {job.calling_aet}; add one and retry the job"
        )
    return names


def export_targets(job: ClaimedJob, request: PipelineRequest) -> Iterator[ExportTarget]:
    """Yield the structure sets for the destinations of the rule; of a job that delivers nothing, one to keep."""
    names = delivered_to(job, request)
    if not names:
        standard = PROFILES["standard"]
        yield ExportTarget(profile_name=standard.name, profile=standard, destinations=())
    for effective, destinations in _by_profile(request.settings, names).items():
        yield ExportTarget(
            profile_name=effective.name, profile=effective.profile, destinations=tuple(destinations)
        )


def fallback_targets(job: ClaimedJob, request: PipelineRequest) -> Iterator[ExportTarget]:
    """Yield the structure sets for the fallback destinations of those."""
    settings = request.settings
    standby = settings.fallbacks_for(delivered_to(job, request))
    for effective, destinations in _by_profile(settings, tuple(standby)).items():
        yield ExportTarget(
            profile_name=effective.name,
            profile=effective.profile,
            destinations=tuple(destinations),
            standby={name: standby[name] for name in destinations},
        )


def _by_profile(settings: Settings, names: Sequence[str]) -> Mapping[EffectiveProfile, list[str]]:
    by_profile: dict[EffectiveProfile, list[str]] = defaultdict(list)
    for name in names:
        destination = settings.destination(name)
        if destination is not None:  # destinations_for and fallbacks_for give only configured names
            by_profile[effective_profile(destination)].append(name)
    return by_profile


def effective_profile(destination: Destination) -> EffectiveProfile:
    """Return the profile of a destination; two with the same name are the same profile."""
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
