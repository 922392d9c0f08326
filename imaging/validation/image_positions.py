"""The images that contours name: where they lie, what class they have, and whether they are the CT's."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from imaging.ct.series_headers import SeriesHeaders
from imaging.validation.coordinates import Report
from imaging.validation.findings import FindingText, Severity
from imaging.validation.modules import IMAGES, ROIS
from imaging.validation.references import ROI_FRAME, other_frames, referenced_images
from imaging.validation.rois import ValidationRequest, number_text
from imaging.validation.tree import Level

IMAGE_CLASS, IMAGE_UID, _NUMBER = 0x00081150, 0x00081155, 0x30060022


class NamedImage(NamedTuple):
    """A contour's reference to an image: SOP Instance UID and SOP Class UID, "" where absent."""

    uid: str
    sop_class: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ImagePositions:
    """Where images lie: the series, the slice of each SOP Instance UID, and the classes of the listed ones."""

    series: SeriesHeaders | None
    listed: Mapping[str, str]
    slice_of: Mapping[str, int]
    class_of: Mapping[str, str]

    @classmethod
    def of(cls, series: SeriesHeaders | None, root: Level) -> "ImagePositions":
        """Return the positions of a CT's images, if there is a CT, and the images that the structure set lists."""
        slices = series.slices if series else ()
        listed = referenced_images(root)
        return cls(
            series=series,
            listed=listed,
            slice_of={s.sop_instance_uid: k for k, s in enumerate(slices)},
            class_of={**listed, **{s.sop_instance_uid: s.sop_class_uid for s in slices}},
        )

    def without_ct(self) -> "ImagePositions":
        """Return the same for an ROI that was not drawn on the CT."""
        return dataclasses.replace(self, series=None, slice_of={})

    def rois_elsewhere(self, root: Level) -> frozenset[str]:
        """Return the numbers of ROIs in another frame of reference for which the structure set lists images."""
        others = other_frames(root, self.series) if self.series else frozenset()
        return frozenset(
            number_text(roi, _NUMBER) for roi in root.items(ROIS) if roi.text(ROI_FRAME) in others
        )


def check_images(
    k: int,
    images: tuple[NamedImage, ...],
    places: ImagePositions,
    asked: ValidationRequest,
    report: Report,
    *,
    is_point: bool,
) -> None:
    """Report a contour without its image, and images that are not listed, not the CT's, or of another class."""
    if not images and not is_point:
        severity = Severity.ERROR if asked.profile.image_per_contour else Severity.WARNING
        words = FindingText(
            "a contour that names no image", "the image it lies on", "none", "Write Contour Image Sequence"
        )
        report(severity, "no-image", k, IMAGES, words)
    for image in images:
        if not image.uid:
            _missing(k, IMAGE_UID, report)
        elif places.listed and image.uid not in places.listed:
            words = FindingText(
                "an image that the structure set does not list",
                "a listed image",
                image.uid,
                "List all images",
            )
            report(Severity.ERROR, "image-unlisted", k, IMAGES, words)
        elif places.series and image.uid not in places.slice_of:
            words = FindingText(
                "an image that was not received", "an image of the series", image.uid, "Contour these images"
            )
            report(Severity.ERROR, "image-foreign", k, IMAGES, words)
        _check_class(k, image, places, report)


def _check_class(k: int, image: NamedImage, places: ImagePositions, report: Report) -> None:
    expected = places.class_of.get(image.uid, "")
    if not image.sop_class:
        _missing(k, IMAGE_CLASS, report)
    elif expected and image.sop_class != expected:
        words = FindingText(
            "another class than the image's", expected, image.sop_class, "Write the image's own"
        )
        report(Severity.ERROR, "image-class", k, IMAGE_CLASS, words)


def _missing(k: int, tag: int, report: Report) -> None:
    words = FindingText("required attribute has no value", "a value (Type 1)", "nothing", "Write it")
    report(Severity.ERROR, "missing", k, tag, words)
