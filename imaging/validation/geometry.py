"""Whether contours are complete, plane, on the images that they name, and of numbers that every system can read."""

from collections.abc import Iterator
from typing import NamedTuple

from imaging.contours.hole_encoding import HoleEncoding
from imaging.contours.structure_set import GeometricType
from imaging.dicom.elements import inside, items
from imaging.export.profiles import EmptyRois
from imaging.rtstruct.roi_numbers import whole_number
from imaging.validation.coordinates import DATA, coordinates
from imaging.validation.findings import FindingLog, FindingText, Path, Severity
from imaging.validation.image_positions import (
    IMAGE_CLASS,
    IMAGE_UID,
    ImagePositions,
    NamedImage,
    check_images,
)
from imaging.validation.modules import IMAGES, ROI_CONTOURS
from imaging.validation.outlines import check_closed, check_point
from imaging.validation.planes import DrawnContour, check_planes
from imaging.validation.rois import ValidationRequest, number_text
from imaging.validation.tree import CONTOURS, Extent, ParsedFile, TreeReader

_TYPE, _COUNT, _REFERENCED = 0x30060042, 0x30060046, 0x30060084
_LONGEST_EXPLICIT = 0xFFFE
_POINT = GeometricType.POINT.encode()
_NOT_PLANE = (GeometricType.OPEN_NONPLANAR.encode(), _POINT)  # a marker may lie between slices
_CLOSED = (GeometricType.CLOSED_PLANAR.encode(), GeometricType.CLOSEDPLANAR_XOR.encode())


class _Contour(NamedTuple):
    """One contour's raw values."""

    kind: bytes
    stated: bytes
    images: tuple[NamedImage, ...]
    data: bytes


def check_contours(
    document: ParsedFile, places: ImagePositions, asked: ValidationRequest, log: FindingLog
) -> None:
    """Report what is wrong with the contours: one finding of a kind per ROI, and about images one for all ROIs.

    ROIs in a frame of reference other than the CT's are not compared with the CT.
    """
    elsewhere = places.rois_elsewhere(document.root)
    for roi in document.root.items(ROI_CONTOURS):
        raw = roi.elements.get(CONTOURS)
        if raw is None or raw.extent is None:
            continue
        reader = TreeReader(document.stream, log)
        contours = list(_contours(reader, raw.extent, roi.path))
        if not contours and not (asked.own and asked.profile.empty_rois is EmptyRois.KEEP):
            words = FindingText(
                "an ROI without contours", "contours", "a sequence of 0 items", "Leave it out"
            )
            log.report(asked.departure(), "roi-empty", roi.at(CONTOURS), words)
        own_places = places.without_ct() if number_text(roi, _REFERENCED) in elsewhere else places
        _Check(roi.path, own_places, asked, log).run(contours)


def _contours(reader: TreeReader, extent: Extent, path: Path) -> Iterator[_Contour]:
    element, end, encoding = extent
    data = reader.stream.data
    for number, (start, stop) in enumerate(items(data, element, end, encoding), 1):
        here = (*path, (CONTOURS, number))
        kind = stated = values = b""
        images: tuple[NamedImage, ...] = ()
        for found, last in reader.walk(start, stop, encoding, here):
            if found.tag == DATA:
                values = data[found.start : last]
            elif found.tag == _TYPE:
                kind = data[found.start : last].strip(b" \0")
            elif found.tag == _COUNT:
                stated = data[found.start : last].strip(b" \0")
            elif found.tag == IMAGES:
                within = inside(found.vr, encoding)
                images = tuple(
                    _named({e.tag: data[e.start : behind] for e, behind in reader.walk(a, b, within, at)})
                    for n, (a, b) in enumerate(items(data, found, last, within), 1)
                    for at in [(*here, (IMAGES, n))]
                )
        yield _Contour(kind, stated, images, values)


def _named(values: dict[int, bytes]) -> NamedImage:
    uid, sop_class = (
        values.get(tag, b"").rstrip(b"\0").decode("ascii", "replace") for tag in (IMAGE_UID, IMAGE_CLASS)
    )
    return NamedImage(uid, sop_class)


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
            if contour.kind == _POINT:
                check_point(k, found, self._report)
            if contour.kind in _CLOSED:
                check_closed(k, found, self._report, own=self._asked.own)
                if contour.data in seen:
                    words = FindingText(
                        "a contour that repeats another", "each once", "it twice", "Leave it out"
                    )
                    self._report(Severity.WARNING, "contour-repeated", k, DATA, words)
                seen.add(contour.data)
        plane = [
            DrawnContour(k, found, self._slice(contour))
            for k, (contour, found) in enumerate(zip(contours, points, strict=True))
            if found is not None and len(found) and contour.kind not in _NOT_PLANE
        ]
        check_planes(plane, self._places.series, self._report, own=self._asked.own)

    def _slice(self, contour: _Contour) -> int | None:
        if len(contour.images) != 1:
            return None
        return self._places.slice_of.get(contour.images[0].uid)

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
        if contour.stated and whole_number(contour.stated.decode("ascii", "replace")) != count:
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

    def _check_image(self, k: int, contour: _Contour) -> None:
        check_images(
            k, contour.images, self._places, self._asked, self._report, is_point=contour.kind == _POINT
        )

    def _report(self, severity: Severity, code: str, k: int, tag: int, words: FindingText) -> None:
        at = (*self._path, (CONTOURS, k + 1), (tag, 0))
        group = "" if tag in (IMAGES, IMAGE_UID, IMAGE_CLASS) else str(self._path)
        self._log.report(severity, code, at, words, group)
