"""Small CT series to send, and the answers that a sender got to each slice."""

import threading
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from imaging.ct.headers import parse_header
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume
from phantoms.dicom import CtExport, ct_files
from phantoms.dicom_modules import Identity

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
_PREAMBLE_BYTES = 132
_GROUP_LENGTH_BYTES = 12
_PIXELS = (24, 24)


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One CT image as it crosses the wire, in explicit VR little endian."""

    sop_instance_uid: str
    series_uid: str
    data_set: bytes


@dataclass(frozen=True, kw_only=True)
class Series:
    """A series of one patient; its sender is part of the job's identity."""

    series_uid: str
    calling_aet: str
    slices: tuple[Slice, ...]


def make_series(name: str, slice_count: int, calling_aet: str = "SCANNER") -> Series:
    """Return a box with a dense core; another name gives other UIDs, the same name the same bytes."""
    grid = Grid(
        shape_zyx=(slice_count, *_PIXELS),
        origin_lps=(-40.0, -40.0, 10.0),
        spacing_zyx_mm=(3.0, 4.0, 4.0),
        axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    )
    array = np.full(grid.shape_zyx, -1000, np.int16)
    array[:, 4:20, 5:19] = 100
    array[1:-1, 9:14, 8:13] = 1000
    files = ct_files(
        Volume(array_zyx=array, grid=grid), CtExport(identity=Identity(patient_id=f"TRIAL-{name}"))
    )
    slices = tuple(_slice(file.data) for file in files)
    return Series(series_uid=slices[0].series_uid, calling_aet=calling_aet, slices=slices)


def data_set_of(part10: bytes) -> bytes:
    """Return the dataset after the File Meta Information of a Part 10 file."""
    length = int.from_bytes(part10[_PREAMBLE_BYTES + 8 : _PREAMBLE_BYTES + _GROUP_LENGTH_BYTES], "little")
    return part10[_PREAMBLE_BYTES + _GROUP_LENGTH_BYTES + length :]


@dataclass
class AnswerLog:
    """Every answer to every C-STORE of a trial, exactly as it came. Thread-safe."""

    acknowledged: dict[str, Slice] = field(default_factory=dict)  # by SOP Instance UID
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    unanswered: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, one: Slice, status: int) -> None:
        """Count a C-STORE that the node answered."""
        with self._lock:
            self.statuses[status] += 1
            if status == SUCCESS:
                self.acknowledged[one.sop_instance_uid] = one

    def slices(self) -> list[Slice]:
        """Return the slices that have got 0x0000 so far."""
        with self._lock:
            return list(self.acknowledged.values())

    def broke(self) -> None:
        """Count a connection that ended before the answer."""
        with self._lock:
            self.broken += 1

    def kept_silent(self, one: Slice) -> None:
        """Count an open connection without an answer, which must never happen."""
        with self._lock:
            self.unanswered.append(one.sop_instance_uid)

    def wrong(self) -> list[str]:
        """Return the answers and silences that are not allowed."""
        allowed = {SUCCESS, OUT_OF_RESOURCES}
        found = [f"{n} C-STORE answered 0x{s:04X}" for s, n in self.statuses.items() if s not in allowed]
        return found + [f"no answer to the C-STORE of {uid}" for uid in self.unanswered]


def _slice(part10: bytes) -> Slice:
    header = parse_header(part10)
    return Slice(
        sop_instance_uid=header.sop_instance_uid,
        series_uid=header.series_uid,
        data_set=data_set_of(part10),
    )
