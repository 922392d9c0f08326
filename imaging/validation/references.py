"""Whether a structure set refers to exactly the images that were received, and does not contradict itself."""

from pydicom import config
from pydicom.uid import UID

from imaging.ct.series_headers import SeriesHeaders
from imaging.dicom.character_sets import codecs_of, terms_of
from imaging.dicom.patient_study import stated
from imaging.export.profiles import ExportProfile
from imaging.validation.findings import FindingLog, FindingText, Path, Severity
from imaging.validation.modules import FRAMES, IMAGES, ROIS, SERIES, STUDIES
from imaging.validation.rois import ValidationRequest
from imaging.validation.tree import Level
from imaging.validation.values import CharacterSet

_STUDY_UID, _SERIES_UID, _FRAME_UID = 0x0020000D, 0x0020000E, 0x00200052
_IMAGE_CLASS, _IMAGE_UID, ROI_FRAME, _PATIENT_ID = 0x00081150, 0x00081155, 0x30060024, 0x00100020
_SEND_FIRST = "Contour the images that the destination has, or send these images first"


def uids_of(series: SeriesHeaders) -> frozenset[bytes]:
    """Return all UIDs that a structure set copies from its CT."""
    uids = {series.study_uid, series.series_uid, series.frame_of_reference_uid}
    uids |= {uid for image in series.slices for uid in (image.sop_class_uid, image.sop_instance_uid)}
    return frozenset(uid.encode() for uid in uids)


def referenced_images(root: Level) -> dict[str, str]:
    """Return the images that Referenced Frame of Reference Sequence (3006,0010) lists, with their classes."""
    return {
        image.text(_IMAGE_UID): image.text(_IMAGE_CLASS)
        for _, series in _referenced_series(root)
        for image in series.items(IMAGES)
    }


def other_frames(root: Level, series: SeriesHeaders) -> frozenset[str]:
    """Return the frames of reference listed with images besides the CT's own, if some ROI lies in the CT's."""
    listed = {frame.text(_FRAME_UID) for frame in root.items(FRAMES) if _has_images(frame)}
    drawn = {roi.text(ROI_FRAME) for roi in root.items(ROIS)}
    own = series.frame_of_reference_uid
    return frozenset(listed - {own, ""}) if own in listed and own in drawn else frozenset()


def _has_images(frame: Level) -> bool:
    return any(item.items(IMAGES) for study in frame.items(STUDIES) for item in study.items(SERIES))


def referenced_series(root: Level) -> tuple[str, ...]:
    """Return the series that Referenced Frame of Reference Sequence (3006,0010) names, in order."""
    return tuple(series.text(_SERIES_UID) for _, series in _referenced_series(root))


def check_references(root: Level, profile: ExportProfile, log: FindingLog) -> None:
    """Report frames of reference and series that contradict each other inside the file."""
    frames = {frame.text(_FRAME_UID) for frame in root.items(FRAMES)}
    if not frames:
        severity = Severity.ERROR if profile.image_per_contour else Severity.WARNING
        words = FindingText("no images are referenced", "all images of the series", "nothing", "Write them")
        log.report(severity, "no-references", root.at(FRAMES), words)
    for roi in root.items(ROIS):
        uid = roi.text(ROI_FRAME)
        if frames and uid and uid not in frames:
            words = FindingText(
                "an ROI in a frame that is not listed",
                " or ".join(sorted(frames)),
                uid,
                "Write the ROI's own frame",
            )
            log.error("frame-unlisted", roi.at(ROI_FRAME), words)
    _check_frames(root, profile, log)
    _check_images(root, log)
    own = root.text(_SERIES_UID)
    for _, series in _referenced_series(root):
        if series.text(_SERIES_UID) == own and own:
            words = FindingText(
                "the series of the images", "a series of its own", own, "Give structure sets a new series"
            )
            log.error("series-shared", root.at(_SERIES_UID), words)


def _check_frames(root: Level, profile: ExportProfile, log: FindingLog) -> None:
    """Report frames without images: nobody can tell which images their ROIs were drawn on."""
    empty = [frame for frame in root.items(FRAMES) if not frame.items(STUDIES)]
    is_only = len(empty) == len(root.items(FRAMES))
    for frame in empty:
        words = FindingText("a frame of reference without images", "the images in it", "none", "List them")
        severity = Severity.ERROR if is_only and profile.image_per_contour else Severity.WARNING
        log.report(severity, "frame-empty", frame.at(STUDIES), words)


def _check_images(root: Level, log: FindingLog) -> None:
    for _, series in _referenced_series(root):
        for image in series.items(IMAGES):
            name = _class_name(image.text(_IMAGE_CLASS))
            if "Storage" in name and "Image" not in name:
                words = FindingText(
                    "a class that is no image", "an image's SOP Class", name, "Write the images' class"
                )
                log.error("image-class", image.at(_IMAGE_CLASS), words)


def _class_name(uid: str) -> str:
    """Return the standard's name of a class; "" for a UID that it does not have."""
    name = UID(uid, validation_mode=config.IGNORE).name
    return "" if name == uid else name


def _check_classes(item: Level, series: SeriesHeaders, log: FindingLog) -> None:
    """Report listed images of the CT under another class, and the study that they are listed under."""
    classes = {image.sop_instance_uid: image.sop_class_uid for image in series.slices}
    for image in item.items(IMAGES):
        expected, found = classes.get(image.text(_IMAGE_UID), ""), image.text(_IMAGE_CLASS)
        if (
            expected
            and found
            and ("Image" in _class_name(found) or not _class_name(found))
            and found != expected
        ):
            words = FindingText("another class than the image's", expected, found, "Write the image's own")
            log.error("image-class", image.at(_IMAGE_CLASS), words)


def _check_study(root: Level, series: SeriesHeaders, log: FindingLog) -> None:
    for frame in root.items(FRAMES):
        for study in frame.items(STUDIES):
            if any(item.text(_SERIES_UID) == series.series_uid for item in study.items(SERIES)):
                _same(study, _IMAGE_UID, series.study_uid, "study", log)


def check_against_series(
    root: Level, series: SeriesHeaders, characters: CharacterSet, asked: ValidationRequest, log: FindingLog
) -> None:
    """Report everything that does not refer to exactly these images of this patient."""
    _same(root, _STUDY_UID, series.study_uid, "study", log)
    if _FRAME_UID in root.elements:
        _same(root, _FRAME_UID, series.frame_of_reference_uid, "frame", log)
    others = other_frames(root, series)
    for roi in root.items(ROIS):
        if roi.text(ROI_FRAME) not in others:
            _same(roi, ROI_FRAME, series.frame_of_reference_uid, "frame", log)
    _check_patient(root, series, characters, asked, log)
    listed = {s.text(_SERIES_UID): (path, s) for path, s in _referenced_series(root)}
    if not listed:
        return
    if series.series_uid not in listed:
        path, _ = next(iter(listed.values()))
        words = FindingText("another series", series.series_uid, ", ".join(listed), _SEND_FIRST)
        log.error("series", (*path, (_SERIES_UID, 0)), words)
        return
    path, item = listed[series.series_uid]
    _check_classes(item, series, log)
    _check_study(root, series, log)
    found = {image.text(_IMAGE_UID) for image in item.items(IMAGES)} - {""}
    expected = {image.sop_instance_uid for image in series.slices}
    at = (*path, (IMAGES, 0))
    if found - expected:
        words = FindingText(
            "images that were not received",
            f"{len(expected)} images",
            f"{len(found - expected)} others, such as {min(found - expected)}",
            _SEND_FIRST,
        )
        log.error("images-foreign", at, words)
    if found and expected - found:
        words = FindingText(
            "images of the series are not listed",
            f"{len(expected)} images",
            f"{len(expected - found)} missing, such as {min(expected - found)}",
            "List all images",
        )
        log.report(asked.departure(), "images-missing", at, words)


def _check_patient(
    root: Level, series: SeriesHeaders, characters: CharacterSet, asked: ValidationRequest, log: FindingLog
) -> None:
    """Compare Patient ID by bytes, and where these differ as text: other systems may use another character set."""
    raw = root.elements.get(_PATIENT_ID)
    if raw is None or raw.value.strip(b" \0") == stated(series.header, "PatientID").strip(b" \0"):
        return
    found, expected = _without_spaces(characters.text(raw.value)), _patient_id(series)
    if asked.own or (None not in (found, expected) and found != expected):
        words = FindingText(
            "another patient", "the patient of the images", "another Patient ID", "Do not send it"
        )
        log.error("patient", root.at(_PATIENT_ID), words)


def _patient_id(series: SeriesHeaders) -> str | None:
    codecs = codecs_of(terms_of(stated(series.header, "SpecificCharacterSet"))) or ()
    text = CharacterSet(encodings=codecs, declared=True).text(stated(series.header, "PatientID"))
    return _without_spaces(text)


def _without_spaces(text: str | None) -> str | None:
    return None if text is None else text.strip()


def _same(level: Level, tag: int, expected: str, code: str, log: FindingLog) -> None:
    found = level.text(tag)
    if found and found != expected:
        log.error(
            code, level.at(tag), FindingText(f"another {code} than the images'", expected, found, _SEND_FIRST)
        )


def _referenced_series(root: Level) -> list[tuple[Path, Level]]:
    return [
        (series.path, series)
        for frame in root.items(FRAMES)
        for study in frame.items(STUDIES)
        for series in study.items(SERIES)
    ]
