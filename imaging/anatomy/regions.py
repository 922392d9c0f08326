"""Which parts of the body a CT shows, judged by its cross-sections along z.

Method: each slab is scored against the typical cross-sections of each region (`LOOKS`: a range for each measure, and
how fast the score falls beyond it). The regions of a patient follow one another, so the sequence from the legs upwards
with the highest total score is chosen (Viterbi), and a single odd slab decides nothing. The same is done from the other
end: a series that fits far better upside down was sent with the wrong patient orientation.

Limits: sizes are those of adults. The borders between abdomen, pelvis and lower thorax are right to within a few
centimetres; a part of the body shown alone (one arm) gets the region that it resembles most.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from imaging.anatomy.profile import BodyProfile

CUT_SHARE = 0.08  # above this, a cross-section is larger than the image shows
WORST = -9.0
NEXT, SKIPPED, NEVER = -2.0, -20.0, -1e6
UPSIDE_DOWN = 40.0
ENOUGH_SLABS = 4
CUT_PENALTY = -6.0
MUCH_CUT_SHARE = 0.3  # heads and necks are never cut this much

Scores = NDArray[np.float64]


class Region(StrEnum):
    """A part of the body, in order from the feet to the head."""

    LEGS = "legs"
    PELVIS = "pelvis"
    ABDOMEN = "abdomen"
    THORAX = "thorax"
    NECK = "neck"
    HEAD = "head"


Range = tuple[
    float, float, float
]  # lowest, highest, and the distance beyond at which the score has fallen by 1
LOOKS: Mapping[Region, Mapping[str, Range]] = MappingProxyType(
    {
        Region.LEGS: {
            "area": (40, 620, 60), "width": (70, 480, 40), "air": (0, 0.002, 0.002), "bone": (0.02, 0.10, 0.02),
            "intracranial": (0, 0.03, 0.02), "aspect": (0.7, 2.8, 0.3),
        },
        Region.PELVIS: {
            "area": (330, 1600, 60), "width": (260, 600, 30), "air": (0, 0.03, 0.02), "bone": (0.06, 0.25, 0.02),
            "intracranial": (0, 0.05, 0.03), "aspect": (1.2, 2.2, 0.2),
        },
        Region.ABDOMEN: {
            "area": (300, 1600, 60), "width": (230, 600, 30), "air": (0, 0.08, 0.03), "bone": (0.01, 0.07, 0.02),
            "intracranial": (0, 0.03, 0.02), "aspect": (1.0, 1.8, 0.15),
        },
        Region.THORAX: {
            "area": (330, 1800, 60), "width": (270, 700, 30), "air": (0.03, 0.6, 0.015), "bone": (0.015, 0.16, 0.02),
            "intracranial": (0, 0.04, 0.03), "aspect": (1.1, 3.2, 0.3),
        },
        Region.NECK: {
            "area": (70, 270, 40), "width": (90, 230, 25), "air": (0.004, 0.05, 0.003), "bone": (0.02, 0.14, 0.02),
            "intracranial": (0, 0.05, 0.03), "aspect": (0.6, 1.35, 0.15),
        },
        Region.HEAD: {
            "area": (90, 310, 40), "width": (110, 200, 20), "air": (0, 0.12, 0.04), "bone": (0.09, 0.45, 0.02),
            "intracranial": (0.0, 1.0, 0.1), "aspect": (0.55, 1.05, 0.1),
        },
    }
)  # fmt: skip
SHOULDERS: Mapping[str, Range] = MappingProxyType(
    {
        "area": (240, 1500, 60), "width": (230, 700, 30), "air": (0, 0.06, 0.03), "bone": (0.01, 0.16, 0.02),
        "intracranial": (0, 0.04, 0.03), "aspect": (1.5, 3.4, 0.2),
    }
)  # fmt: skip
BRAIN_SHARE, BRAIN_SCORE = 0.25, 8.0
AIRWAY_CM2, AIRWAY_SHARE = (
    0.3,
    0.35,
)  # the share of head and neck slabs that show an airway or brain; a limb shows neither


@dataclass(frozen=True, kw_only=True)
class RegionEstimate:
    """The region of every slab from inferior to superior, None where there is no body, and how tall a slab is."""

    by_slab: tuple[Region | None, ...]
    slab_mm: float
    upside_down: bool

    def length_mm(self, *regions: Region) -> float:
        """Return how much of the CT, along z, shows any of these regions."""
        return self.slab_mm * sum(region in regions for region in self.by_slab)

    def words(self) -> str:
        """Return the regions from superior to inferior with their lengths, e.g. "head 80 mm, neck 120 mm"."""
        present = [region for region in reversed(Region) if region in self.by_slab]
        return ", ".join(f"{region} {self.length_mm(region):.0f} mm" for region in present) or "no body"


def estimate_regions(profile: BodyProfile) -> RegionEstimate:
    """Estimate which region each slab of a body shows; a volume without a body shows none."""
    present = np.flatnonzero(profile.area_cm2 > 5)
    by_slab: list[Region | None] = [None] * profile.slabs
    if not len(present):
        return RegionEstimate(by_slab=tuple(by_slab), slab_mm=profile.slab_mm, upside_down=False)
    scores = _scores(profile)[present]
    path, total = _in_order(scores)
    if _is_limb(profile, present, path):
        scores[:, [_at(Region.NECK), _at(Region.HEAD)]] = NEVER
        path, total = _in_order(scores)
    other_path, other_total = _in_order(scores[::-1])
    upside_down = other_total - total > UPSIDE_DOWN and _has_head_and_trunk(other_path)
    for slab, state in zip(present, other_path[::-1] if upside_down else path, strict=True):
        by_slab[slab] = list(Region)[state]
    return RegionEstimate(by_slab=tuple(by_slab), slab_mm=profile.slab_mm, upside_down=upside_down)


def _at(region: Region) -> int:
    return list(Region).index(region)


def _has_head_and_trunk(path: list[int]) -> bool:
    """Tell whether the sequence shows enough of a patient to be sure of its direction."""
    head, trunk = (_at(Region.NECK), _at(Region.HEAD)), (_at(Region.ABDOMEN), _at(Region.THORAX))
    return bool(np.isin(path, head).sum() >= ENOUGH_SLABS and np.isin(path, trunk).sum() >= ENOUGH_SLABS)


def _is_limb(profile: BodyProfile, present: NDArray[np.intp], path: list[int]) -> bool:
    """Tell whether what passes for a head and neck has next to no airway and no brain: a knee or a calf."""
    there = present[np.isin(path, (_at(Region.NECK), _at(Region.HEAD)))]
    if not len(there):
        return False
    brain = profile.intracranial_cm2[there] > BRAIN_SHARE * profile.area_cm2[there]
    shown = (profile.air_cm2[there] > AIRWAY_CM2) | brain
    return bool(shown.mean() < AIRWAY_SHARE)


def _scores(profile: BodyProfile) -> Scores:
    """Return the scores (slab, region): how well each slab fits each region; 0 is a perfect fit."""
    area = np.maximum(profile.area_cm2, 1e-6)
    measured = {
        "area": profile.area_cm2,
        "width": profile.width_mm,
        "air": profile.air_cm2 / area,
        "bone": profile.bone_cm2 / area,
        "intracranial": profile.intracranial_cm2 / area,
        "aspect": profile.width_mm / np.maximum(profile.depth_mm, 1.0),
    }
    cut = profile.cut_share > CUT_SHARE
    columns = [_fit(measured, LOOKS[region], cut) for region in Region]
    thorax, head = _at(Region.THORAX), _at(Region.HEAD)
    columns[thorax] = np.maximum(
        columns[thorax], _fit(measured, SHOULDERS, cut) + np.where(cut, CUT_PENALTY, 0.0)
    )
    much_cut = np.where(profile.cut_share > MUCH_CUT_SHARE, CUT_PENALTY, 0.0)
    columns[_at(Region.NECK)] = columns[_at(Region.NECK)] + much_cut
    columns[head] = (
        columns[head] + much_cut + np.where(measured["intracranial"] > BRAIN_SHARE, BRAIN_SCORE, 0.0)
    )
    return np.stack(columns, axis=1)


def _fit(measured: Mapping[str, Scores], looks: Mapping[str, Range], cut: NDArray[np.bool_]) -> Scores:
    total = np.zeros(len(cut))
    for measure, (low, high, soft) in looks.items():
        value = measured[measure]
        below, above = (low - value) / soft, (value - high) / soft
        if measure in ("area", "width"):
            below = np.where(cut, 0.0, below)
        if measure == "aspect":
            below, above = np.where(cut, 0.0, below), np.where(cut, 0.0, above)
        total += np.maximum(-(np.maximum(np.maximum(below, above), 0.0) ** 2), WORST)
    return total


def _in_order(scores: Scores) -> tuple[list[int], float]:
    """Return the best sequence of regions that never goes back towards the feet, and its sum."""
    count = scores.shape[1]
    step = np.full((count, count), NEVER)
    for region in range(count):
        step[region, region] = 0.0
        if region + 1 < count:
            step[region, region + 1] = NEXT
        step[region, region + 2 :] = SKIPPED
    best, came_from = scores[0].copy(), []
    for row in scores[1:]:
        reach = best[:, None] + step
        came_from.append(reach.argmax(axis=0))
        best = reach.max(axis=0) + row
    state = int(best.argmax())
    total = float(best[state])
    path = [state]
    for previous in reversed(came_from):
        path.append(int(previous[path[-1]]))
    return path[::-1], total
