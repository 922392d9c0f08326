"""Where a CT and the structures found in it lie in the body: coarse measurements, cheap enough for every job."""

from imaging.anatomy.placement import StructurePlacement, edges_touched, placements
from imaging.anatomy.profile import BodyProfile, body_profile
from imaging.anatomy.regions import Region, RegionEstimate, estimate_regions

__all__ = [
    "BodyProfile",
    "Region",
    "RegionEstimate",
    "StructurePlacement",
    "body_profile",
    "edges_touched",
    "estimate_regions",
    "placements",
]
