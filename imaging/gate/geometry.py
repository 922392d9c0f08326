"""Contours: whole, plane, on the images they name, and numbers that every system can read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imaging.contours import HoleEncoding
from imaging.ct import CtSeries
from imaging.elements import inside, items
from imaging.gate.findings import Log, Path, Severity, Words
from imaging.gate.modules import ROI_CONTOURS
from imaging.gate.rois import Asked
from imaging.gate.tree import CONTOURS, Document, Extent, Reader
from imaging.structure_set import GeometricType

PLANE_TOLERANCE_MM = 0.01
_IMAGES, _TYPE, _COUNT, _DATA = 0x30060016, 0x30060042, 0x30060046, 0x30060050
_IMAGE_CLASS, _IMAGE_UID = 0x00081150, 0x00081155
_LONGEST_EXPLICIT = 0xFFFE
_DECIMAL = re.compile(rb" *[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)? *")
_NO_NUMBER = bytes(set(range(256)) - set(b"0123456789+-.eE\\ \0"))
_CLOSED = (GeometricType.CLOSED_PLANAR.encode(), GeometricType.CLOSEDPLANAR_XOR.encode())


class _Contour(NamedTuple):
    """One contour's raw values."""

    kind: bytes
    stated: bytes
    images: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Where images lie: for each SOP Instance UID its slice, and the series with its grid; and which are listed."""

    series: CtSeries | None
    listed: frozenset[str]
    slice_of: dict[str, int]

    @classmethod
    def of(cls, series: CtSeries | None, listed: frozenset[str]) -> "Places":
        """The places of a CT, if there is one, and of the images that the structure set lists."""
        slices = series.slices if series else ()
        return cls(
            series=series, listed=listed, slice_of={s.sop_instance_uid: k for k, s in enumerate(slices)}
        )


def check_contours(document: Document, places: Places, asked: Asked, log: Log) -> None:
    """Report what is wrong with the contours; findings of one kind are one for each ROI, about images one for all."""
    for roi in document.root.items(ROI_CONTOURS):
        raw = roi.elements.get(CONTOURS)
        if raw is None or raw.extent is None:
            continue
        reader = Reader(document.stream, log)
        contours = list(_contours(reader, raw.extent, roi.path))
        _Check(roi.path, places, asked, log).run(contours)


def _contours(reader: Reader, extent: Extent, path: Path) -> Iterator[_Contour]:
    element, end, encoding = extent
    data = reader.stream.data
    for number, (start, stop) in enumerate(items(data, element, end, encoding), 1):
        here = (*path, (CONTOURS, number))
        kind = stated = values = b""
        images: tuple[bytes, ...] = ()
        for found, last in reader.walk(start, stop, encoding, here):
            if found.tag == _DATA:
                values = data[found.start : last]
            elif found.tag == _TYPE:
                kind = data[found.start : last].strip(b" \0")
            elif found.tag == _COUNT:
                stated = data[found.start : last].strip(b" \0")
            elif found.tag == _IMAGES:
                within = inside(found.vr, encoding)
                images = tuple(
                    data[uid.start : behind].rstrip(b"\0")
                    for n, (a, b) in enumerate(items(data, found, last, within), 1)
                    for uid, behind in reader.walk(a, b, within, (*here, (_IMAGES, n)))
                    if uid.tag == _IMAGE_UID
                )
        yield _Contour(kind, stated, images, values)


class _Check:
    """The checks of one ROI's contours."""

    def __init__(self, path: Path, places: Places, asked: Asked, log: Log) -> None:
        self._path, self._places, self._asked, self._log = path, places, asked, log

    def run(self, contours: list[_Contour]) -> None:
        """Check values, then shapes, then places."""
        self._check_kinds(contours)
        points = self._points([c.data for c in contours])
        seen: set[bytes] = set()
        for k, (contour, found) in enumerate(zip(contours, points, strict=True)):
            self._check_image(k, contour)
            if found is None:
                continue
            self._check_count(k, contour, len(found))
            if contour.kind in _CLOSED:
                self._check_closed(k, found)
                if contour.data in seen:
                    words = Words("a contour that repeats another", "each once", "it twice", "Leave it out")
                    self._report(Severity.WARNING, "contour-repeated", k, _DATA, words)
                seen.add(contour.data)
        self._check_planes(contours, points)

    def _check_kinds(self, contours: list[_Contour]) -> None:
        kinds = {contour.kind for contour in contours}
        for k, contour in enumerate(contours):
            for tag, value in ((_TYPE, contour.kind), (_COUNT, contour.stated), (_DATA, contour.data)):
                if not value.strip(b" \0"):
                    words = Words("required attribute has no value", "a value (Type 1)", "none", "Write it")
                    self._report(Severity.ERROR, "missing", k, tag, words)
            if contour.kind and contour.kind.decode("ascii", "replace") not in list(GeometricType):
                words = Words(
                    "no such type", ", ".join(GeometricType), repr(contour.kind)[1:], "Write CLOSED_PLANAR"
                )
                self._report(Severity.ERROR, "contour-type", k, _TYPE, words)
            if contour.kind == _CLOSED[1]:
                if self._asked.profile.holes is not HoleEncoding.XOR:
                    words = Words(
                        "a destination that may not know XOR contours",
                        "CLOSED_PLANAR",
                        "CLOSEDPLANAR_XOR",
                        "Encode holes as the profile says",
                    )
                    self._report(self._asked.departure(), "hole-encoding", k, _TYPE, words)
                if _CLOSED[0] in kinds:
                    words = Words(
                        "mixed types in an ROI", "one of them", "plain and XOR contours", "Write one type"
                    )
                    self._report(Severity.ERROR, "types-mixed", k, _TYPE, words)

    def _check_count(self, k: int, contour: _Contour, count: int) -> None:
        if contour.stated and contour.stated != str(count).encode():
            words = Words(
                "another number of points",
                f"{count} as in Contour Data",
                contour.stated.decode("ascii", "replace"),
                "Write the number of points",
            )
            self._report(Severity.ERROR, "point-count", k, _COUNT, words)
        limit = self._asked.profile.most_points
        if limit and count > limit:
            words = Words("a long contour", f"at most {limit} points", f"{count}", "Decimate or split it")
            self._report(self._asked.departure(), "most-points", k, _COUNT, words)
        if len(contour.data) > _LONGEST_EXPLICIT:
            words = Words(
                "too long for Explicit VR",
                f"at most {_LONGEST_EXPLICIT} bytes",
                f"{len(contour.data)}",
                "Decimate or split it: archives that store Explicit VR turn it into UN",
            )
            self._report(Severity.WARNING, "explicit-overflow", k, _DATA, words)

    def _check_closed(self, k: int, points: NDArray[np.float64]) -> None:
        if len(points) < 3:
            words = Words(
                "a contour that bounds nothing", "3 points or more", f"{len(points)}", "Leave it out"
            )
            self._report(Severity.ERROR, "few-points", k, _DATA, words)
        elif (points[0] == points[-1]).all():
            words = Words(
                "the first point once more at the end",
                "each point once",
                "it twice",
                "Leave the last one out",
            )
            self._report(Severity.ERROR, "point-repeated", k, _DATA, words)

    def _check_image(self, k: int, contour: _Contour) -> None:
        if not contour.images:
            severity = Severity.ERROR if self._asked.profile.image_per_contour else Severity.WARNING
            words = Words(
                "a contour that names no image",
                "the image it lies on",
                "none",
                "Write Contour Image Sequence",
            )
            self._report(severity, "no-image", k, _IMAGES, words)
        for image in contour.images:
            uid = image.decode("ascii", "replace")
            if self._places.listed and uid not in self._places.listed:
                words = Words(
                    "an image that the structure set does not list", "a listed image", uid, "List all images"
                )
                self._report(Severity.ERROR, "image-unlisted", k, _IMAGES, words)
            elif self._places.series and uid not in self._places.slice_of:
                words = Words(
                    "an image that was not received", "an image of the series", uid, "Contour these images"
                )
                self._report(Severity.ERROR, "image-foreign", k, _IMAGES, words)

    def _points(self, texts: list[bytes]) -> list[NDArray[np.float64] | None]:
        """The points (n, 3) of each contour; None where they cannot be read, which is reported."""
        bare = [text.rstrip(b"\0") for text in texts]
        bare = [text[:-1] if text.endswith(b" ") else text for text in bare]  # an even length's padding
        counts = [text.count(b"\\") + 1 if text.strip() else 0 for text in bare]
        joined = b"\\".join(text for text, count in zip(bare, counts, strict=True) if count)
        values = _numbers(joined, sum(counts))
        if values is None or _longest(joined) > 16:
            return [self._point(k, text) for k, text in enumerate(bare)]
        result: list[NDArray[np.float64] | None] = []
        start = 0
        for k, count in enumerate(counts):
            result.append(self._in_threes(k, values[start : start + count]))
            start += count
        return result

    def _point(self, k: int, text: bytes) -> NDArray[np.float64] | None:
        """One contour's points, value by value, so that each bad one is reported."""
        parts = text.split(b"\\") if text.strip() else []
        good = True
        for part in parts:
            shown = f"'{part[:24].decode('ascii', 'replace')}'"
            if len(part) > 16:
                words = Words(
                    "a coordinate too long",
                    "at most 16 bytes",
                    f"{shown}, {len(part)} bytes",
                    "Write fewer decimals",
                )
                self._report(Severity.ERROR, "too-long-ds", k, _DATA, words)
            if not _DECIMAL.fullmatch(part):
                good = False
                words = Words(
                    "a coordinate that is no number", "a decimal number", shown, "Write the contour anew"
                )
                self._report(Severity.ERROR, "malformed-ds", k, _DATA, words)
        return self._in_threes(k, np.array([float(part) for part in parts])) if good else None

    def _in_threes(self, k: int, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
        if len(values) % 3:
            words = Words(
                "coordinates that are no points",
                "a multiple of 3",
                f"{len(values)}",
                "Write the contour anew",
            )
            self._report(Severity.ERROR, "point-count", k, _DATA, words)
            return None
        if not np.isfinite(values).all():
            words = Words("a coordinate without end", "a finite number", "another", "Write the contour anew")
            self._report(Severity.ERROR, "malformed-ds", k, _DATA, words)
            return None
        return values.reshape(-1, 3)

    def _check_planes(self, contours: list[_Contour], found: list[NDArray[np.float64] | None]) -> None:
        chosen = [
            (k, points)
            for k, points in enumerate(found)
            if points is not None
            and len(points)
            and contours[k].kind != GeometricType.OPEN_NONPLANAR.encode()
        ]
        if not chosen:
            return
        counts = np.array([len(points) for _, points in chosen])
        points = np.concatenate([points for _, points in chosen])
        starts = np.cumsum(counts) - counts
        low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
        thickness = (high - low).min(axis=1)
        for at in np.flatnonzero(thickness > PLANE_TOLERANCE_MM).tolist():
            k, own = chosen[at]
            off_mm = _off_plane_mm(own)
            if off_mm > PLANE_TOLERANCE_MM:
                words = Words(
                    "a contour that is not plane",
                    f"within {PLANE_TOLERANCE_MM} mm",
                    f"{off_mm:.3g} mm off",
                    "Write it on one slice",
                )
                self._report(Severity.ERROR, "not-plane", k, _DATA, words)
        if self._places.series:
            self._check_slices(contours, chosen, points, self._places.series)

    def _check_slices(
        self,
        contours: list[_Contour],
        chosen: list[tuple[int, NDArray[np.float64]]],
        points: NDArray[np.float64],
        series: CtSeries,
    ) -> None:
        """Every point on the plane of the image that its contour names, or else of the nearest one, and inside it."""
        grid = series.volume.grid
        counts = np.array([len(own) for _, own in chosen])
        places = [np.array([float(p) for p in image.position]) for image in series.slices]
        planes = np.array(places) @ np.array(grid.axes_lps[0])
        depth = points @ np.array(grid.axes_lps[0])
        starts = np.cumsum(counts) - counts
        named = [self._slice(contours[k]) for k, _ in chosen]
        nearest = np.abs(depth[starts][:, None] - planes[None]).argmin(axis=1).tolist()
        expected = planes[[near if own is None else own for near, own in zip(nearest, named, strict=True)]]
        off = np.maximum.reduceat(np.abs(depth - np.repeat(expected, counts)), starts)
        for at in np.flatnonzero(off > PLANE_TOLERANCE_MM).tolist():
            words = Words(
                "a contour off its image's plane",
                f"within {PLANE_TOLERANCE_MM} mm",
                f"{off[at]:.3g} mm off",
                "Write the image's own position",
            )
            self._report(Severity.ERROR, "plane-off", chosen[at][0], _DATA, words)
        index = grid.index_zyx(points)[:, 1:]
        beyond = ((index < -1) | (index > np.array(grid.shape_zyx[1:]))).any(axis=1)
        for at in np.flatnonzero(np.logical_or.reduceat(beyond, starts)).tolist():
            words = Words(
                "points beside the image", "points on the image", "others", "Check that these are the images"
            )
            self._report(Severity.WARNING, "beside-image", chosen[at][0], _DATA, words)

    def _slice(self, contour: _Contour) -> int | None:
        if len(contour.images) != 1:
            return None
        return self._places.slice_of.get(contour.images[0].decode("ascii", "replace"))

    def _report(self, severity: Severity, code: str, k: int, tag: int, words: Words) -> None:
        at = (*self._path, (CONTOURS, k + 1), (tag, 0))
        group = "" if tag == _IMAGES else str(self._path)
        self._log.report(severity, code, at, lambda: words, group)


def _numbers(joined: bytes, count: int) -> NDArray[np.float64] | None:
    """Exactly `count` numbers, or None where the text holds anything else."""
    if not count:
        return np.empty(0)
    if joined.translate(None, delete=_NO_NUMBER) != joined:
        return None
    try:
        values = np.fromstring(joined, dtype=np.float64, count=count, sep="\\")
    except (ValueError, DeprecationWarning):
        return None
    return values if len(values) == count else None


def _longest(joined: bytes) -> int:
    ends = np.flatnonzero(np.frombuffer(joined, np.uint8) == ord("\\"))
    return int(np.diff(ends, prepend=-1, append=len(joined)).max()) - 1


def _off_plane_mm(points: NDArray[np.float64]) -> float:
    """The largest distance of points from the plane that fits them best."""
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred, full_matrices=False)[2][-1]
    return float(np.abs(centred @ normal).max())
