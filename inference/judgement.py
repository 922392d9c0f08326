"""Structures of one case judged by the limits of their model: what is implausible, and what the scan cuts off.

A structure at the edge of the CT may be smaller than the limits allow, and is compared with others only where the edge
does not matter; a finding says that it is cut off. Where two structures do not fit each other, the one that fits fewer
of the others is at fault; both, if that cannot be told. It is implausible if it does not fit `MISFIT_SHARE` of the
others; with fewer, the distance is only reported: a patient may have a long neck without a misplaced parotid.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from imaging.anatomy import RegionEstimate, StructurePlacement
from inference.contract.plausibility import PairLimits, Plausibility, StructureLimits

MISFIT_SHARE = 1 / 3
OUTLINES = {
    "height_mm": ("inferior", "superior"),
    "depth_mm": ("anterior", "posterior"),
    "width_mm": ("right", "left"),
}
UNITS = {
    "volume_cc": "cc", "height_mm": "mm", "depth_mm": "mm", "width_mm": "mm", "across": "", "deep": "", "inside": "",
    "median_hu": "HU", "body_cm2": "cm2", "left_mm": "mm", "back_mm": "mm", "head_mm": "mm", "region": "", "edge": "",
}  # fmt: skip
WORDS = {
    "volume_cc": "volume", "height_mm": "height", "depth_mm": "depth", "width_mm": "width",
    "across": "place from the body's right end (-1) to its left (1)",
    "deep": "place from the body's front (0) to its back (1)",
    "inside": "share inside the body", "median_hu": "median", "body_cm2": "body cross-section at its height",
    "left_mm": "to the left", "back_mm": "to the back", "head_mm": "to the head",
}  # fmt: skip
LIMITED = (
    "volume_cc",
    "height_mm",
    "depth_mm",
    "width_mm",
    "across",
    "deep",
    "inside",
    "median_hu",
    "body_cm2",
)


@dataclass(frozen=True, kw_only=True)
class PlausibilityFinding:
    """One check that one structure did not pass: what was measured, and what was expected (for a number, a range).

    `is_implausible` is False for what is only reported: contact with the edge of the field, a distance to only a few
    others.
    """

    structure: str
    check: str
    measured: float | str
    expected: tuple[float, float] | tuple[str, ...]
    relative_to: str = ""
    is_implausible: bool = True

    def words(self) -> str:
        """Return the finding without the structure's name, for people."""
        if self.check == "edge":
            return f"contact with the {self.measured} edge of the field; the scan may cut it"
        if self.check == "region":
            return f"lies in the {self.measured}, expected in {' or '.join(map(str, self.expected))}"
        unit = f" {UNITS[self.check]}" if UNITS[self.check] else ""
        low, high = self.expected
        named = WORDS[self.check]
        if self.relative_to:
            named = f"distance from {self.relative_to} {named}"
        return f"{named} {_number(self.measured)}{unit}, expected {_number(low)} to {_number(high)}{unit}"


class _Offset(NamedTuple):
    """One distance of a pair outside its limits."""

    pair: PairLimits
    check: str
    value: float


def region_finding(limits: Plausibility, regions: RegionEstimate) -> str | None:
    """Say why a model is not suited to what a CT shows; None where it is."""
    shown = sum(mm for region, mm in _lengths(regions).items() if region in limits.regions)
    wanted = " or ".join(limits.regions)
    if regions.upside_down:
        return (
            f"the body runs upside down ({regions.words()} from the end that the images call superior); check "
            "Patient Position (0018,5100) and Image Orientation (0020,0037)"
        )
    if shown < limits.least_mm:
        return f"the CT shows {regions.words()}; at least {limits.least_mm:g} mm of {wanted} are needed"
    return None


def judge(limits: Plausibility, placed: Mapping[str, StructurePlacement]) -> tuple[PlausibilityFinding, ...]:
    """Return the findings of a case, structure by structure in the order of `placed`."""
    findings = {code: list(_own(code, where, limits.of(code))) for code, where in placed.items()}
    doubtful = {code for code, found in findings.items() if any(f.is_implausible for f in found)}
    fitted = [
        pair
        for pair in limits.pairs
        if {pair.first, pair.second} <= set(placed) and not {pair.first, pair.second} & doubtful
    ]
    offsets = [offset for pair in fitted for offset in _offsets(pair, placed, limits)]
    for code, offset, misfits in _blamed(offsets):
        others = sum(code in (pair.first, pair.second) for pair in fitted)
        grave = misfits >= MISFIT_SHARE * others
        findings[code].append(_pair_finding(code, offset, is_implausible=grave))
    return tuple(finding for found in findings.values() for finding in found)


def anchor(where: StructurePlacement, limits: StructureLimits) -> tuple[float, float, float]:
    """Return the point of a structure, x, y, z in mm, from which distances are measured."""
    points = {"middle": where.middle_mm, "top": where.top_mm, "bottom": where.bottom_mm}
    return points[limits.anchor]


def is_anchored(where: StructurePlacement, how: str, check: str) -> bool:
    """Tell whether an anchor along one axis is the patient's, not a place where the scan ends."""
    sides = {"left_mm": ("right", "left"), "back_mm": ("anterior", "posterior")}
    ends = {"middle": ("inferior", "superior"), "top": ("superior",), "bottom": ("inferior",)}
    relevant = sides.get(check, ends[how])
    return not any(side in where.edges for side in relevant)


def _lengths(regions: RegionEstimate) -> dict[str, float]:
    return {str(region): regions.length_mm(region) for region in set(regions.by_slab) if region is not None}


def _own(
    code: str, where: StructurePlacement, limits: StructureLimits | None
) -> Iterator[PlausibilityFinding]:
    if where.edges:
        yield PlausibilityFinding(
            structure=code,
            check="edge",
            measured=" and ".join(where.edges),
            expected=(),
            is_implausible=False,
        )
    if limits is None:
        return
    region = str(where.region) if where.region else "air"
    if region not in limits.regions:
        yield PlausibilityFinding(structure=code, check="region", measured=region, expected=limits.regions)
    for check in LIMITED:
        value: float = getattr(where, check)
        low, high = getattr(limits, check)
        if _may_be_less(check, where):
            low = min(low, value)
        if not low <= value <= high:
            yield PlausibilityFinding(
                structure=code, check=check, measured=value, expected=getattr(limits, check)
            )


def _may_be_less(check: str, where: StructurePlacement) -> bool:
    """Tell whether the edge of the scan may have reduced a measure."""
    if check == "volume_cc":
        return bool(where.edges)
    return any(side in where.edges for side in OUTLINES.get(check, ()))


def _offsets(
    pair: PairLimits, placed: Mapping[str, StructurePlacement], limits: Plausibility
) -> Iterator[_Offset]:
    own = [(placed[code], limits.of(code)) for code in (pair.first, pair.second)]
    (first, first_limits), (second, second_limits) = own
    if first_limits is None or second_limits is None:
        return
    start, end = anchor(first, first_limits), anchor(second, second_limits)
    for axis, check in enumerate(("left_mm", "back_mm", "head_mm")):
        both = ((first, first_limits.anchor), (second, second_limits.anchor))
        if not all(is_anchored(where, how, check) for where, how in both):
            continue
        low, high = getattr(pair, check)
        value = end[axis] - start[axis]
        if not low <= value <= high:
            yield _Offset(pair, check, value)


def _blamed(offsets: Sequence[_Offset]) -> Iterator[tuple[str, _Offset, int]]:
    """Yield each structure at fault, a distance that shows it, and how many others it does not fit; worst first."""
    left = list(offsets)
    while left:
        partners: dict[str, set[str]] = {}
        for pair, _, _ in left:
            partners.setdefault(pair.first, set()).add(pair.second)
            partners.setdefault(pair.second, set()).add(pair.first)
        most = max(len(others) for others in partners.values())
        guilty = {code for code, others in partners.items() if len(others) == most}
        for offset in left:
            for code in guilty & {offset.pair.first, offset.pair.second}:
                yield code, offset, most
        left = [offset for offset in left if not guilty & {offset.pair.first, offset.pair.second}]


def _pair_finding(code: str, offset: _Offset, *, is_implausible: bool) -> PlausibilityFinding:
    low, high = getattr(offset.pair, offset.check)
    is_second = code == offset.pair.second
    return PlausibilityFinding(
        structure=code,
        check=offset.check,
        measured=offset.value if is_second else -offset.value,
        expected=(low, high) if is_second else (-high, -low),
        relative_to=offset.pair.first if is_second else offset.pair.second,
        is_implausible=is_implausible,
    )


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value + 0.0:.2f}" if abs(value) < 10 else f"{value:.0f}"
