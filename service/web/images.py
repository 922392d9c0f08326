"""The images and contours of a job for the viewer: read from the files that were received and sent."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from imaging.ct.series import ImageSeries, SourceFile, read_images
from imaging.errors import ImageRefused
from imaging.modality import Modality
from imaging.rtstruct.reading import read_structure_set
from service.errors import Refused
from service.store import FileDamaged, FileLost, JobRepository, StoredFile
from service.store.objects import StoredContent
from service.web.outlines import drawn_set
from service.web.slice_strip import SliceStrip, strip_of

MOST_SERIES = 2
"""Volumes kept in memory; one of 512 x 512 x 200 takes 105 MB."""
KEPT_S = 120.0
SOFT_TISSUE = (40.0, 400.0)
Value = TypeVar("Value")


class ImagesGone(Refused):
    """Files of a job were removed by retention, or are damaged."""


class NoStructureSet(Refused):
    """Nothing was made for the job, or for this destination of it."""


class _Kept(NamedTuple):
    value: Any
    until: float


class Shelf:
    """The few newest values, each for a while; thread-safe: a thread waits for a value that is being made."""

    def __init__(self, most: int, kept_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._kept_s, self._clock = most, kept_s, clock
        self._values: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key; make it if it is not there."""
        with self._lock:
            self._drop()
            kept = self._values.pop(key, None)
            value: Value = make() if kept is None else kept.value
            self._values[key] = _Kept(value, self._clock() + self._kept_s)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
            return value

    def drop_old(self) -> None:
        """Drop the values whose time is over."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        now = self._clock()
        for key in [key for key, kept in self._values.items() if kept.until <= now]:
            del self._values[key]


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewedSeries:
    """A job's series as the viewer shows it.

    `voxels_zyx` are int16: Hounsfield units for CT; values times `factor`, rounded, for MR. `unit` is empty for MR.
    `window` is the initial level and width, on the scale of the voxels.
    """

    series: ImageSeries
    voxels_zyx: NDArray[np.int16]
    unit: str
    factor: float
    window: tuple[float, float]


class JobImages:
    """Reads what the viewer shows."""

    def __init__(self, jobs: JobRepository, content: StoredContent, rescale_types: Collection[str]) -> None:
        self._jobs, self._content, self._rescale_types = jobs, content, rescale_types
        self._series = Shelf(MOST_SERIES, KEPT_S)
        self._strips = Shelf(200, 3600.0)
        self._contours = Shelf(20, KEPT_S)

    def drop_old(self) -> None:
        """Drop volumes and contours that nobody has looked at recently."""
        self._series.drop_old()
        self._contours.drop_old()

    def series_uid(self, job_id: int) -> str:
        """Give the Series Instance UID of a job's images."""
        return self._jobs.job(job_id).series_uid

    def series(self, job_id: int) -> ViewedSeries:
        """Return the series of a job, with its volume.

        Raises:
            ImagesGone: images were removed or are damaged.
            Refused: they do not form a volume; the reason says why.
        """
        paths = self._image_paths(job_id)

        def read() -> ViewedSeries:
            sources = [SourceFile(name=uid, data=data) for uid, data in self._read(paths)]
            try:
                return _viewed(read_images(sources, self._rescale_types))
            except ImageRefused as reason:
                raise Refused(reason.message) from reason

        return self._series.get(paths, read)

    def strip(self, job_id: int) -> SliceStrip | None:
        """Return the places of a job's slices; None if it has fewer than two.

        Raises:
            ImagesGone: images were removed or are damaged.
        """
        paths = self._image_paths(job_id)
        return self._strips.get(paths, lambda: strip_of([data for _, data in self._read(paths)]))

    def contours(self, job_id: int, destination: str = "") -> dict[str, Any]:
        """Return the contours of the structure set that was made for a job, in index coordinates of its volume.

        Args:
            job_id: the job's number.
            destination: whose structure set, if profiles made several; empty: the first.

        Returns:
            As `drawn_set` describes them.

        Raises:
            ImagesGone: the file was removed or is damaged.
            NoStructureSet: the job has none.
        """
        file = self._result(job_id, destination)
        series = self.series(job_id).series
        return self._contours.get(file.sha256, lambda: self._read_contours(file, series))

    def result(self, job_id: int, destination: str = "") -> bytes:
        """Return the structure set that was made for a job, byte for byte; raises as contours()."""
        return self._whole(self._result(job_id, destination))

    def _read_contours(self, file: StoredFile, series: ImageSeries) -> dict[str, Any]:
        return drawn_set(read_structure_set(self._whole(file)), series.volume.grid)

    def _result(self, job_id: int, destination: str) -> StoredFile:
        file = self._jobs.structure_set(job_id, destination)
        if file is None:
            self._jobs.job(job_id)  # raises if there is no such job
            raise NoStructureSet(
                f"job {job_id} has no structure set" + (f" for {destination}" if destination else "")
            )
        return file

    def _image_paths(self, job_id: int) -> tuple[tuple[str, str], ...]:
        status = self._jobs.job(job_id)
        instances = self._jobs.instances_of(job_id)
        if len(instances) < status.slice_count or not instances:
            raise ImagesGone(
                f"{status.slice_count - len(instances)} of the {status.slice_count} images of job {job_id} were removed by "
                "retention; send the series again to see them"
            )
        return tuple((instance.sop_instance_uid, instance.file.path) for instance in instances)

    def _read(self, paths: tuple[tuple[str, str], ...]) -> list[tuple[str, bytes]]:
        try:
            return [(uid, self._content.received.read(path)) for uid, path in paths]
        except FileLost as reason:
            raise ImagesGone(f"an image of the series is gone: {reason}") from reason

    def _whole(self, file: StoredFile) -> bytes:
        try:
            return self._content.read_whole(file)
        except FileDamaged as reason:
            raise ImagesGone(
                f"the structure set was removed by retention or is damaged: {reason}"
            ) from reason


def _viewed(series: ImageSeries) -> ViewedSeries:
    if series.modality is not Modality.MR:
        voxels = series.volume.hu_zyx
        return ViewedSeries(series=series, voxels_zyx=voxels, unit="HU", factor=1.0, window=SOFT_TISSUE)
    array = series.volume.array_zyx
    largest = float(np.abs(array).max())
    factor = 10.0 ** np.floor(np.log10(32767 / largest)) if largest > 0 else 1.0
    voxels = np.rint(array * factor).astype(np.int16)
    low, high = (float(value) for value in np.percentile(voxels[:, ::4, ::4], (1, 99)))
    window = ((low + high) / 2, max(high - low, 1.0))
    return ViewedSeries(series=series, voxels_zyx=voxels, unit="", factor=float(factor), window=window)


def content_tag(job_id: int, series: ImageSeries) -> str:
    """Return the name of the voxels of a job's series in an ETag."""
    names = "".join(one.sop_instance_uid for one in series.slices)
    return hashlib.sha256(f"{job_id} {names}".encode()).hexdigest()[:32]
