"""The attributes that every RT Structure Set must have: Types 1 and 2 of its mandatory modules (PS3.3 A.19)."""

from collections.abc import Iterable

from pydicom.uid import RTStructureSetStorage

from imaging.validation.findings import FindingLog, FindingText
from imaging.validation.tree import Level, ParsedFile

SOP_CLASS, SOP_INSTANCE, MODALITY = 0x00080016, 0x00080018, 0x00080060
ROIS, ROI_CONTOURS, OBSERVATIONS = 0x30060020, 0x30060039, 0x30060080
FRAMES, STUDIES, SERIES, IMAGES = 0x30060010, 0x30060012, 0x30060014, 0x30060016
_META_CLASS, _META_INSTANCE, _META_SYNTAX = 0x00020002, 0x00020003, 0x00020010
_REMEDY = "Write it; a Type 2 attribute may be empty"

# Patient, General Study, RT Series, General Equipment, Structure Set, SOP Common
_ROOT_1 = (SOP_CLASS, SOP_INSTANCE, MODALITY, 0x0020000D, 0x0020000E, 0x30060002)
_ROOT_2 = (
    *(0x00100010, 0x00100020, 0x00100030, 0x00100040),
    *(0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00200010),
    *(0x00200011, 0x00081070, 0x00080070),
    *(0x30060008, 0x30060009),
)
_IMAGE_1 = (0x00081150, 0x00081155)
# Structure Set, ROI Contour, RT ROI Observations: what each item must have
_ROI_1, _ROI_2 = (0x30060022, 0x30060024), (0x30060026, 0x30060036)
_OBSERVATION_1, _OBSERVATION_2 = (0x30060082, 0x30060084), (0x300600A4, 0x300600A6)


def check_modules(document: ParsedFile, log: FindingLog) -> None:
    """Report Type 1 attributes that are absent or empty, and Type 2 attributes that are absent."""
    root = document.root
    _check_meta(document, log)
    _require(root, _ROOT_1, _ROOT_2, log)
    if root.text(MODALITY) not in ("", "RTSTRUCT"):
        words = FindingText("another modality", "RTSTRUCT", root.text(MODALITY), "Write RTSTRUCT")
        log.error("modality", root.at(MODALITY), words)
    for tag in (ROIS, ROI_CONTOURS, OBSERVATIONS):
        if not root.items(tag):
            words = FindingText("no items", "at least one", "none", "Send no structure set without ROIs")
            log.error("missing", root.at(tag), words)
    _require_each(root.items(ROIS), _ROI_1, _ROI_2, log)
    _require_each(root.items(ROI_CONTOURS), (0x30060084,), (), log)
    _require_each(root.items(OBSERVATIONS), _OBSERVATION_1, _OBSERVATION_2, log)
    for frame in root.items(FRAMES):
        _check_frame(frame, log)


def is_structure_set(document: ParsedFile) -> bool:
    """Tell whether the file says that it is an RT Structure Set."""
    return document.root.text(SOP_CLASS) == RTStructureSetStorage


def _check_frame(frame: Level, log: FindingLog) -> None:
    _require(frame, (0x00200052,), (), log)
    for study in frame.items(STUDIES):
        _require(study, _IMAGE_1, (), log)
        if not study.items(SERIES):
            _missing(study, SERIES, log)
        for series in study.items(SERIES):
            _require(series, (0x0020000E,), (), log)
            if not series.items(IMAGES):
                _missing(series, IMAGES, log)
            _require_each(series.items(IMAGES), _IMAGE_1, (), log)


def _check_meta(document: ParsedFile, log: FindingLog) -> None:
    meta, root = document.meta, document.root
    if not meta.elements:
        words = FindingText(
            "no file meta information", "a PS3.10 file", "a bare dataset", "Write preamble and header"
        )
        log.error("no-meta", (), words)
        return
    _require(meta, (_META_CLASS, _META_INSTANCE, _META_SYNTAX), (), log)
    for tag, same in ((_META_CLASS, SOP_CLASS), (_META_INSTANCE, SOP_INSTANCE)):
        if meta.text(tag) and root.text(same) and meta.text(tag) != root.text(same):
            words = FindingText(
                "header and dataset differ", root.text(same), meta.text(tag), "Write the file again"
            )
            log.error("meta-differs", meta.at(tag), words)


def _require_each(
    levels: Iterable[Level], type_1: Iterable[int], type_2: Iterable[int], log: FindingLog
) -> None:
    for level in levels:
        _require(level, type_1, type_2, log)


def _require(level: Level, type_1: Iterable[int], type_2: Iterable[int], log: FindingLog) -> None:
    for tag in type_1:
        if not level.text(tag):
            _missing(level, tag, log)
    for tag in type_2:
        if tag not in level.elements:
            words = FindingText(
                "required attribute is absent", "it, perhaps empty (Type 2)", "nothing", _REMEDY
            )
            log.error("missing", level.at(tag), words)


def _missing(level: Level, tag: int, log: FindingLog) -> None:
    found = "an empty value" if tag in level.elements else "nothing"
    words = FindingText("required attribute has no value", "a value (Type 1)", found, "Write it")
    log.error("missing", level.at(tag), words)
