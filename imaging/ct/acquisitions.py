"""Whether the slices of a stack are of one acquisition, phase and reconstruction, as far as their headers tell.

Blocks of slices stacked on each other, each of its own acquisition, make one volume. Slices of two that alternate along
z do not, however even their spacing: they are two volumes in one series.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise

from imaging.ct.headers import AXIS_LETTERS, SliceHeader
from imaging.ct.raw_slice import named
from imaging.errors import ImageRefused, RefusalCode

PHASES = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
)
RECONSTRUCTIONS = ("ConvolutionKernel", "FilterType", "ReconstructionAlgorithm", "ImageType")
ACQUISITIONS = ("AcquisitionNumber", "SeriesNumber")
PERIODIC = (
    "KVP",
    "TriggerTime",
    "SliceThickness",
    "ReconstructionDiameter",
    "ContrastBolusAgent",
    "IrradiationEventUID",
    "SeriesDescription",
    "ProtocolName",
    "ImageComments",
    "DerivationDescription",
)
"""Attributes that may change from slice to slice for reasons of their own.

Reported only where they alternate through the whole stack.
"""
Value = str | int
"""An attribute's value: its text, or a number that equal values share."""
OF_MR = (
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "DiffusionBValue",
    "FlipAngle",
    "RepetitionTime",
    "SequenceName",
)
"""Attributes that distinguish one volume of an MR series from another, besides phases and kinds of image."""
_TOLD = frozenset(
    {*PHASES, *ACQUISITIONS, *OF_MR, "ConvolutionKernel", "FilterType", "KVP", "SliceThickness"}
)
"""Attributes whose values are not free text and may be quoted in a reason."""
_TIME = "AcquisitionTime"
_PAUSE_S = 30.0
"""Slices of one acquisition are never further apart in time than this."""
_LONGEST_PERIOD = 12
_SHORT_RUN = 2
_NEARLY_ALL = 0.95
_FEWEST = 6


def check_one_acquisition(ordered: Sequence[SliceHeader]) -> None:
    """Refuse (ImageRefused) slices in which an attribute of acquisition, phase or reconstruction alternates along z.

    `ordered` are the slices in their order along the stack.
    """
    refuse_turns(ordered, _columns(ordered))


def refuse_turns(ordered: Sequence[SliceHeader], columns: Mapping[str, Sequence[Value]]) -> None:
    """Refuse (ImageRefused) slices in which any of these attributes alternates along z.

    `columns` are the values along the stack by keyword.
    """
    turning = [keyword for keyword, values in columns.items() if _takes_turns(keyword, values)]
    if not turning:
        return
    here = _first_change(columns[turning[0]])
    pair = (ordered[here], ordered[here + 1])
    told = differences(ordered, turning)
    images = " and ".join(
        f"image {header.sop_instance_uid} at {AXIS_LETTERS[header.along]}={header.position[header.along]} mm"
        for header in pair
    )
    found = f"{_kind(columns, turning)} lie in one series and take turns along it ({told}), as {images}"
    raise ImageRefused(RefusalCode.MIXED_ACQUISITIONS, f"{found}. Send one.")


def differences(headers: Sequence[SliceHeader], keywords: Sequence[str] | None = None) -> str:
    """Describe which attributes of acquisition, phase or reconstruction differ between these slices; "" where none."""
    asked = keywords or (*PHASES, *ACQUISITIONS, *OF_MR, *RECONSTRUCTIONS, _TIME, *PERIODIC)
    words = []
    for keyword in asked:
        values = list(dict.fromkeys(header.text(keyword) for header in headers))
        if len(values) > 1:
            shown = [_shown(value) for value in values[:3]] if keyword in _TOLD else []
            more = " and more" if len(values) > len(shown) and shown else ""
            words.append(named(keyword) + (f" {' and '.join(shown)}{more}" if shown else ""))
    return ", ".join(words)


def _columns(ordered: Sequence[SliceHeader]) -> Mapping[str, Sequence[Value]]:
    """Return the values of each attribute along the stack; acquisition times as the acquisition's number."""
    columns: dict[str, Sequence[Value]] = {
        keyword: [header.text(keyword) for header in ordered]
        for keyword in (*PHASES, *RECONSTRUCTIONS, *ACQUISITIONS, *PERIODIC)
    }
    times = [_seconds(header) for header in ordered]
    known = [time for time in times if time is not None]
    if len(known) == len(ordered):
        columns[_TIME] = _zigzag(known) or _sessions(known)
    return columns


def _takes_turns(keyword: str, values: Sequence[Value]) -> bool:
    """Tell whether values return after others: in several places, for only a slice or two, or in a fixed period."""
    if len(set(values)) < 2 or len(values) < 3:
        return False
    if _periodic(values):
        return True
    if keyword in PERIODIC:
        return False
    runs = [(value, len(list(group))) for value, group in groupby(values)]
    comebacks = len(runs) - len(set(values))
    islands = [
        length
        for (before, _), (value, length), (after, _) in zip(runs, runs[1:], runs[2:], strict=False)
        if before == after and value and before
    ]
    return comebacks >= 2 or any(length <= _SHORT_RUN for length in islands)


def _periodic(values: Sequence[Value]) -> bool:
    """Tell whether nearly every value repeats the one a fixed number of slices before, and not its neighbour's."""
    count = len(values)
    for period in range(2, min(_LONGEST_PERIOD, count // 2) + 1):
        again = sum(values[i] == values[i + period] for i in range(count - period))
        if count >= _FEWEST and again >= _NEARLY_ALL * (count - period):
            changes = sum(a != b for a, b in pairwise(values))
            return changes >= 2 * (count // period) - 2
    return False


def _sessions(times: Sequence[float]) -> list[Value]:
    """Return, for each time, the number of its acquisition: a pause without any slice separates two acquisitions."""
    ascending = sorted(set(times))
    parted = [b for a, b in pairwise(ascending) if b - a > _PAUSE_S]
    return [sum(time >= start for start in parted) for time in times]


def _zigzag(times: Sequence[float]) -> list[Value]:
    """Return 0, 1, 0, 1, ... where the times of even and odd slices each run one way but together zigzag; else []."""
    steps = [b - a for a, b in pairwise(times)]
    if len(steps) < _FEWEST or 0 in steps:
        return []
    turns = sum((a > 0) != (b > 0) for a, b in pairwise(steps)) / (len(steps) - 1)
    straight = min(_one_way(times[::2]), _one_way(times[1::2]))
    return [index % 2 for index in range(len(times))] if min(turns, straight) >= _NEARLY_ALL else []


def _one_way(times: Sequence[float]) -> float:
    """Return the share of steps that go in the more frequent direction."""
    rising = [b > a for a, b in pairwise(times)]
    return max(Counter(rising).values()) / len(rising)


def _seconds(header: SliceHeader) -> float | None:
    """Return when a slice was acquired, in seconds from a fixed moment; None where it does not say."""
    text = header.text("AcquisitionDateTime")
    if not text and header.text(_TIME):
        text = (header.text("AcquisitionDate") or "19700101") + header.text(_TIME)
    found = re.match(r"(\d{14})(\.\d{1,6})?", text.replace(":", ""))
    if found is None:
        return None
    try:
        whole = datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
    return whole + float(found[2] or 0)


def _shown(value: str) -> str:
    return re.sub(r"[^ -~]", "?", value)[:24] or "none"


def _first_change(values: Sequence[Value]) -> int:
    return next(index for index, (a, b) in enumerate(pairwise(values)) if a != b)


def _kind(columns: Mapping[str, Sequence[Value]], turning: Sequence[str]) -> str:
    count = len(set(columns[turning[0]]))
    number = {2: "two", 3: "three", 4: "four"}.get(count, str(count))
    if any(keyword in PHASES for keyword in turning):
        return f"{number} phases"
    if any(keyword in RECONSTRUCTIONS for keyword in turning):
        return f"{number} reconstructions"
    return f"{number} acquisitions"
