"""Any system's RT Structure Set, read into ROIs joined by number."""

import io
from collections.abc import Iterable, Iterator

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import RTStructureSetStorage

from imaging.contours.structure_set import Roi, StructureSet
from imaging.dicom.elements import Stream, open_stream
from imaging.errors import PARSE_ERRORS, StructureSetUnreadable
from imaging.rtstruct.contour_decoding import RoiItem, split_contours


def read_structure_set(data: bytes) -> StructureSet:
    """Return the structure set in a Part 10 file, in any uncompressed or deflated transfer syntax.

    The three ROI sequences are joined by ROI Number, whatever their order. An ROI that only one of them names is kept;
    one without contours has none. Raises StructureSetUnreadable where the bytes are no structure set, a coordinate is no
    number, or a number stands for two ROIs.
    """
    try:
        return _structure_set(open_stream(data))
    except PARSE_ERRORS as error:
        raise StructureSetUnreadable(f"the file cannot be read as DICOM: {error}") from error


def _structure_set(stream: Stream) -> StructureSet:
    rest, items = split_contours(stream)
    dataset = read_dataset(io.BytesIO(rest), not stream.encoding.explicit, stream.encoding.little)
    if _text(dataset, "SOPClassUID") != RTStructureSetStorage:
        found = f"SOP Class UID (0008,0016) is '{_text(dataset, 'SOPClassUID')}'"
        raise StructureSetUnreadable(f"{found}, not RT Structure Set Storage")
    series = list(_referenced_series(dataset))
    return StructureSet(
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        label=_text(dataset, "StructureSetLabel"),
        approval_status=_text(dataset, "ApprovalStatus"),
        frame_of_reference_uids=_frames(dataset),
        referenced_series_uids=tuple(_text(item, "SeriesInstanceUID") for item in series),
        referenced_image_uids=frozenset(
            _text(image, "ReferencedSOPInstanceUID")
            for item in series
            for image in _sequence(item, "ContourImageSequence")
        ),
        rois=tuple(_rois(dataset, items)),
    )


def _rois(dataset: Dataset, items: list[RoiItem]) -> Iterator[Roi]:
    described = _by_number(_sequence(dataset, "StructureSetROISequence"), "ROINumber")
    observed = {
        number: observation
        for observation in _sequence(dataset, "RTROIObservationsSequence")
        if (number := _number(observation, "ReferencedROINumber")) is not None
    }
    drawn: dict[int, RoiItem] = {}
    for item in items:
        if item.number in drawn:
            raise StructureSetUnreadable(f"ROI Contour Sequence (3006,0039) has ROI {item.number} twice")
        drawn[item.number] = item
    for number in sorted(described.keys() | drawn.keys()):
        roi = described.get(number, Dataset())
        shape = drawn.get(number)
        volume = _text(roi, "ROIVolume")
        yield Roi(
            number=number,
            name=_text(roi, "ROIName"),
            description=_text(roi, "ROIDescription"),
            generation_algorithm=_text(roi, "ROIGenerationAlgorithm"),
            interpreted_type=_text(observed.get(number, Dataset()), "RTROIInterpretedType"),
            colour_rgb=shape.colour_rgb if shape else None,
            volume_cm3=float(volume) if volume else None,
            contours=shape.contours if shape else (),
        )


def _by_number(items: Iterable[Dataset], keyword: str) -> dict[int, Dataset]:
    by_number: dict[int, Dataset] = {}
    for item in items:
        number = _number(item, keyword)
        if number is None:
            raise StructureSetUnreadable(
                f"an item of Structure Set ROI Sequence (3006,0020) has no {keyword}"
            )
        if number in by_number:
            raise StructureSetUnreadable(
                f"Structure Set ROI Sequence (3006,0020) has ROI Number {number} twice"
            )
        by_number[number] = item
    return by_number


def _frames(dataset: Dataset) -> tuple[str, ...]:
    """Return the frames of reference that the structure set names, each once, in order."""
    named = [
        _text(item, "FrameOfReferenceUID")
        for item in _sequence(dataset, "ReferencedFrameOfReferenceSequence")
    ]
    named += [
        _text(item, "ReferencedFrameOfReferenceUID") for item in _sequence(dataset, "StructureSetROISequence")
    ]
    return tuple(dict.fromkeys(uid for uid in named if uid))


def _referenced_series(dataset: Dataset) -> Iterator[Dataset]:
    for frame in _sequence(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in _sequence(frame, "RTReferencedStudySequence"):
            yield from _sequence(study, "RTReferencedSeriesSequence")


def _sequence(dataset: Dataset, keyword: str) -> list[Dataset]:
    return list(dataset[keyword].value or []) if keyword in dataset else []


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset[keyword].value or "").strip() if keyword in dataset else ""


def _number(dataset: Dataset, keyword: str) -> int | None:
    text = _text(dataset, keyword)
    return int(text) if text.lstrip("+-").isdigit() else None
