"""Contours: whole, plane, on the images they name, and numbers that every system can read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imaging.contours.hole_encoding import HoleEncoding
from imaging.contours.structure_set import GeometricType
from imaging.ct.series import CtSeries
from imaging.dicom.elements import inside, items
from imaging.validation.coordinates import DATA, coordinates
from imaging.validation.findings import FindingLog, FindingText, Path, Severity
from imaging.validation.modules import ROI_CONTOURS
from imaging.validation.planes import DrawnContour, check_planes
from imaging.validation.rois import ValidationRequest
from imaging.validation.tree import CONTOURS, Extent, ParsedFile, TreeReader

_IMAGES, _TYPE, _COUNT, _IMAGE_UID = 0x30060016, 0x30060042, 0x30060046, 0x00081155
_LONGEST_EXPLICIT = 0xFFFE
_NOT_PLANE = GeometricType.OPEN_NONPLANAR.encode()
_CLOSED = (GeometricType.CLOSED_PLANAR.encode(), GeometricType.CLOSEDPLANAR_XOR.encode())


class _Contour(NamedTuple):
    """One contour's raw values."""

    kind: bytes
    stated: bytes
    images: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class ImagePositions:
    """Where images lie: for each SOP Instance UID its slice, and the series with its grid; and which are listed."""

    series: CtSeries | None
    listed: frozenset[str]
    slice_of: dict[str, int]

    @classmethod
    def of(cls, series: CtSeries | None, listed: frozenset[str]) -> "ImagePositions":
        """Return the places of a CT, if there is one, and of the images that the structure set lists."""
        slices = series.slices if series else ()
        return cls(
            series=series, listed=listed, slice_of={s.sop_instance_uid: k for k, s in enumerate(slices)}
        )


def check_contours(
    document: ParsedFile, places: ImagePositions, asked: ValidationRequest, log: FindingLog
) -> None:
    """Report what is wrong with the contours; findings of one kind are one for each ROI, about images one for all."""
    for roi in document.root.items(ROI_CONTOURS):
        raw = roi.elements.get(CONTOURS)
        if raw is None or raw.extent is None:
            continue
        reader = TreeReader(document.stream, log)
        contours = list(_contours(reader, raw.extent, roi.path))
        _Check(roi.path, places, asked, log).run(contours)


def _contours(reader: TreeReader, extent: Extent, path: Path) -> Iterator[_Contour]:
    element, end, encoding = extent
    data = reader.stream.data
    for number, (start, stop) in enumerate(items(data, element, end, encoding), 1):
        here = (*path, (CONTOURS, number))
        kind = stated = values = b""
        images: tuple[bytes, ...] = ()
        for found, last in reader.walk(start, stop, encoding, here):
            if found.tag == DATA:
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

    def __init__(self, path: Path, places: ImagePositions, asked: ValidationRequest, log: FindingLog) -> None:
        self._path, self._places, self._asked, self._log = path, places, asked, log

    def run(self, contours: list[_Contour]) -> None:
        """Check values, then shapes, then places."""
        self._check_kinds(contours)
        points = coordinates([c.data for c in contours], self._report)
        seen: set[bytes] = set()
        for k, (contour, found) in enumerate(zip(contours, points, strict=True)):
            self._check_image(k, contour)
            if found is None:
                continue
            self._check_count(k, contour, len(found))
            if contour.kind in _CLOSED:
                self._check_closed(k, found)
                if contour.data in seen:
                    words = FindingText(
                        "a contour that repeats another", "each once", "it twice", "Leave it out"
                    )
                    self._report(Severity.WARNING, "contour-repeated", k, DATA, words)
                seen.add(contour.data)
        plane = [
            DrawnContour(k, found, self._slice(contour))
            for k, (contour, found) in enumerate(zip(contours, points, strict=True))
            if found is not None and len(found) and contour.kind != _NOT_PLANE
        ]
        check_planes(plane, self._places.series, self._report)

    def _slice(self, contour: _Contour) -> int | None:
        if len(contour.images) != 1:
            return None
        return self._places.slice_of.get(contour.images[0].decode("ascii", "replace"))

    def _check_kinds(self, contours: list[_Contour]) -> None:
        kinds = {contour.kind for contour in contours}
        for k, contour in enumerate(contours):
            for tag, value in ((_TYPE, contour.kind), (_COUNT, contour.stated), (DATA, contour.data)):
                if not value.strip(b" \0"):
                    words = FindingText(
                        "required attribute has no value", "a value (Type 1)", "none", "Write it"
                    )
                    self._report(Severity.ERROR, "missing", k, tag, words)
            if contour.kind and contour.kind.decode("ascii", "replace") not in list(GeometricType):
                words = FindingText(
                    "no such type", ", ".join(GeometricType), repr(contour.kind)[1:], "Write CLOSED_PLANAR"
                )
                self._report(Severity.ERROR, "contour-type", k, _TYPE, words)
            if contour.kind == _CLOSED[1]:
                if self._asked.profile.holes is not HoleEncoding.XOR:
                    words = FindingText(
                        "a destination that may not know XOR contours",
                        "CLOSED_PLANAR",
                        "CLOSEDPLANAR_XOR",
                        "Encode holes as the profile says",
                    )
                    self._report(self._asked.departure(), "hole-encoding", k, _TYPE, words)
                if _CLOSED[0] in kinds:
                    words = FindingText(
                        "mixed types in an ROI", "one of them", "plain and XOR contours", "Write one type"
                    )
                    self._report(Severity.ERROR, "types-mixed", k, _TYPE, words)

    def _check_count(self, k: int, contour: _Contour, count: int) -> None:
        if contour.stated and contour.stated != str(count).encode():
            words = FindingText(
                "another number of points",
                f"{count} as in Contour Data",
                contour.stated.decode("ascii", "replace"),
                "Write the number of points",
            )
            self._report(Severity.ERROR, "point-count", k, _COUNT, words)
        limit = self._asked.profile.most_points
        if limit and count > limit:
            words = FindingText(
                "a long contour", f"at most {limit} points", f"{count}", "Decimate or split it"
            )
            self._report(self._asked.departure(), "most-points", k, _COUNT, words)
        if len(contour.data) > _LONGEST_EXPLICIT:
            words = FindingText(
                "too long for Explicit VR",
                f"at most {_LONGEST_EXPLICIT} bytes",
                f"{len(contour.data)}",
                "Decimate or split it: archives that store Explicit VR turn it into UN",
            )
            self._report(Severity.WARNING, "explicit-overflow", k, DATA, words)

    def _check_closed(self, k: int, points: NDArray[np.float64]) -> None:
        if len(points) < 3:
            words = FindingText(
                "a contour that bounds nothing", "3 points or more", f"{len(points)}", "Leave it out"
            )
            self._report(Severity.ERROR, "few-points", k, DATA, words)
        elif (points[0] == points[-1]).all():
            words = FindingText(
                "the first point once more at the end",
                "each point once",
                "it twice",
                "Leave the last one out",
            )
            self._report(Severity.ERROR, "point-repeated", k, DATA, words)

    def _check_image(self, k: int, contour: _Contour) -> None:
        if not contour.images:
            severity = Severity.ERROR if self._asked.profile.image_per_contour else Severity.WARNING
            words = FindingText(
                "a contour that names no image",
                "the image it lies on",
                "none",
                "Write Contour Image Sequence",
            )
            self._report(severity, "no-image", k, _IMAGES, words)
        for image in contour.images:
            uid = image.decode("ascii", "replace")
            if self._places.listed and uid not in self._places.listed:
                words = FindingText(
                    "an image that the structure set does not list", "a listed image", uid, "List all images"
                )
                self._report(Severity.ERROR, "image-unlisted", k, _IMAGES, words)
            elif self._places.series and uid not in self._places.slice_of:
                words = FindingText(
                    "an image that was not received", "an image of the series", uid, "Contour these images"
                )
                self._report(Severity.ERROR, "image-foreign", k, _IMAGES, words)

    def _report(self, severity: Severity, code: str, k: int, tag: int, words: FindingText) -> None:
        at = (*self._path, (CONTOURS, k + 1), (tag, 0))
        group = "" if tag == _IMAGES else str(self._path)
        self._log.report(severity, code, at, words, group)
