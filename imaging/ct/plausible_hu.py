"""One look at the values of a volume before it is contoured: are these Hounsfield units, and of one scan?

Every body region, a crop round a tumour that shows no air, a truncated field of view, padding circles, metal, contrast
and plastic phantoms must pass, so only what none of them does is refused. A sample of some million voxels is examined.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imaging.ct.raw_slice import named
from imaging.errors import ImageRefused, RefusalCode
from imaging.volumes.volume import Volume

MOST_SAMPLES = 1_500_000
_SMALLEST = 4096  # voxels; fewer are too few to judge shares by
_LOWEST = -32768
_SLOPE, _INTERCEPT = named("RescaleSlope"), named("RescaleIntercept")
_TYPE, _PADDING, _STORED = named("RescaleType"), named("PixelPaddingValue"), named("BitsStored")
_FEWEST_SLICES = 8
_LIKER = 0.8
_NEARLY_ALL = 0.9
_LEVELS = (2, 10, 25, 50, 75, 90, 98)  # percentiles of a slice
_ALIKE_HU = 100.0
_JUMP_HU = 250.0
_CONTRAST_HU = 200.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Shares:
    """How the values of a sample are spread over the scale."""

    up_to: NDArray[np.float64]
    """Share of voxels with no more than each value from -32768 on, (65536,)."""

    def below(self, hu: int) -> float:
        """Return the share of voxels below `hu`."""
        return float(self.up_to[hu - _LOWEST - 1])

    def between(self, low: int, high: int) -> float:
        """Return the share of voxels from `low` up to but not including `high`."""
        return self.below(high) - self.below(low)

    def quantile(self, share: float) -> int:
        """Return the value that this share of the voxels does not exceed."""
        return int(np.searchsorted(self.up_to, share)) + _LOWEST


def check_hounsfield(volume: Volume) -> None:
    """Accept a volume whose values can be Hounsfield units of one scan.

    ImageRefused says what speaks against it.
    """
    sample = _sample(volume.hu_zyx)
    if sample.size < _SMALLEST:
        return
    counts = np.bincount(sample.ravel().astype(np.int32) - _LOWEST, minlength=65536)
    doubt = _doubt(Shares(up_to=np.cumsum(counts) / sample.size))
    if doubt:
        found, tags = doubt
        message = f"these are not Hounsfield units: {found}. Look at {tags}; export the series again."
        raise ImageRefused(RefusalCode.NOT_HOUNSFIELD, message)


def check_neighbours(volume: Volume) -> None:
    """Refuse two interleaved scans: accept where each slice is more like its neighbours than they are like each other.

    In one scan a slice differs less from the next than from the next but one. In two interleaved scans
    nearly every slice does the opposite.
    """
    sample = _sample(volume.hu_zyx)
    check_levels(sample)
    sample = np.clip(sample, -1000, 1000)
    if len(sample) < _FEWEST_SLICES:
        return
    near, far = (
        np.array(
            [np.abs(sample[i + step] - sample[i]).mean(dtype=np.float64) for i in range(len(sample) - step)]
        )
        for step in (1, 2)
    )
    turns = far < _LIKER * (near[:-1] + near[1:]) / 2
    if turns.mean() >= _NEARLY_ALL:
        found = f"{int(turns.sum())} of {len(turns)} slices are more like the slice after the next than like the next"
        message = f"two phases or reconstructions take turns along z: {found}. Send one."
        raise ImageRefused(RefusalCode.MIXED_ACQUISITIONS, message)


def check_levels(sample: NDArray[np.int16]) -> None:
    """Accept slices of one scale; ImageRefused where from one slice to the next all values jump by the same amount.

    `sample` is (z, y, x) in HU. Anatomy changes some of a slice's values; another Rescale Intercept shifts air,
    body and bone alike. Slices without any contrast (only padding or air) are ignored.
    """
    levels = np.percentile(sample.reshape(len(sample), -1), _LEVELS, axis=1).T  # (slices, levels)
    shifts = np.diff(levels, axis=0)
    same = np.ptp(shifts, axis=1) <= _ALIKE_HU
    jumps = same & (np.abs(np.median(shifts, axis=1)) >= _JUMP_HU)
    flat = np.ptp(levels, axis=1) < _CONTRAST_HU
    odd = np.flatnonzero(jumps & ~flat[:-1] & ~flat[1:])
    if len(odd):
        shift = float(np.median(shifts[odd[0]]))
        found = f"from slice {odd[0] + 1} to slice {odd[0] + 2} of {len(sample)} (from the lowest) every value jumps by {shift:.0f} HU"
        message = f"these are not Hounsfield units of one scale: {found}. Look at {_INTERCEPT} of these slices; export the series again."
        raise ImageRefused(RefusalCode.NOT_HOUNSFIELD, message)


def _doubt(shares: Shares) -> tuple[str, str] | None:
    """Return the first sign that the values are not Hounsfield units, and the tags to examine.

    None where there is no such sign.
    """
    matter = 1 - shares.below(-500)
    if matter < 0.0005:
        return "nothing is denser than -500 HU, so there is no body", f"{_INTERCEPT} and {_SLOPE}"
    for doubt in (_too_high, _too_low, _floor, _air_elsewhere):
        found = doubt(shares)
        if found:
            return found
    soft, metal = shares.between(-300, 301) / matter, (1 - shares.below(4001)) / matter
    if soft < 0.15:
        return f"of what is no air {soft:.0%} are within 300 HU of water", f"{_SLOPE} and {_INTERCEPT}"
    if metal > 0.03:
        return f"of what is no air {metal:.0%} are above 4000 HU", f"{_SLOPE} and {_STORED}"
    return None


def _too_high(shares: Shares) -> tuple[str, str] | None:
    """Detect no air anywhere, and much as dense as bone, or more near 1000 HU than below it: that peak is water."""
    dense = 1 - shares.below(701)
    shifted = dense > 0.02 and shares.between(850, 1151) > 1.5 * shares.between(300, 701)
    if shares.below(-700) > 0.001 or (dense < 0.12 and not shifted):
        return None
    return (
        f"nothing is as light as air or lung, and {dense:.0%} are above 700 HU",
        f"{_INTERCEPT} and {_TYPE}",
    )


def _too_low(shares: Shares) -> tuple[str, str] | None:
    """Detect many voxels lighter than air that are not padding: padding lies lower still."""
    light = shares.between(-1900, -1100)
    if light < 0.02:
        return None
    return f"{light:.0%} are lighter than air, between -1900 and -1100 HU", f"{_INTERCEPT} and {_PADDING}"


def _floor(shares: Shares) -> tuple[str, str] | None:
    """Detect a scale that begins at its lowest value: nothing below zero, and a plateau there."""
    lowest = shares.quantile(1e-4)
    plateau = shares.between(lowest, lowest + 1)
    if shares.below(0) > 0.0001 or not 0.05 < plateau < 0.99:
        return None
    return f"the lowest value is {lowest} HU, and {plateau:.0%} have it", f"{_TYPE} and {_INTERCEPT}"


def _air_elsewhere(shares: Shares) -> tuple[str, str] | None:
    """Detect misplaced air: none where it should be, and a narrow peak with nothing below it where nothing should be.

    Below -600 HU it could be lung or cork; above -300 HU, where fat is, an empty valley must separate it from the rest.
    """
    if shares.below(-900) > 0.001:
        return None
    for low in range(-600, -79, 10):
        share, valley = shares.between(low, low + 40), shares.between(low + 40, low + 80)
        if share >= 0.15 and (low < -300 or (shares.below(low) < 0.001 and valley < 0.05 * share)):
            found = f"nothing is at -1000 HU, and {share:.0%} are at {low} to {low + 40} HU"
            return found, f"{_INTERCEPT} and {_SLOPE}"
    return None


def _sample(array_zyx: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return every slice with every n-th row and column so that some million voxels remain; a small volume whole."""
    step = max(1, int(np.ceil(np.sqrt(array_zyx.size / MOST_SAMPLES))))
    return array_zyx[:, ::step, ::step]
