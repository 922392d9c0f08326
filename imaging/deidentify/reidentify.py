"""Re-identification: an object made on a research copy gets back its original references, patient and study."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pydicom
from pydicom import Dataset
from pydicom.uid import UID, RTStructureSetStorage, SegmentationStorage

from imaging.deidentify.errors import ReidentificationRefused
from imaging.deidentify.files import part10
from imaging.deidentify.identifiers import texts, walk
from imaging.deidentify.pseudonyms import STANDARD_ROOT
from imaging.dicom.patient_study import ALWAYS, WHERE_PRESENT
from imaging.dicom.uids import derived_uid
from imaging.errors import PARSE_ERRORS

TAKEN_BACK = frozenset({RTStructureSetStorage, SegmentationStorage})
_OF_THE_COPY = (
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)
# Attributes of patient and study: the original's replace the copy's, and those that it lacked are removed.
_PATIENT_AND_STUDY = (
    *ALWAYS,
    *(keyword for keyword in WHERE_PRESENT if keyword not in _OF_THE_COPY),
    "PatientSize",
    "PatientWeight",
)
# UIDs that the maker of an object creates for it: they refer to nothing outside the object.
_OWN = frozenset(
    {
        "ConceptualVolumeUID",
        "DimensionOrganizationUID",
        "InstanceCreatorUID",
        "StructureSetROIUID",
        "TrackingUID",
    }
)
_NAMES_THE_OBJECT = ("SOPInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True, kw_only=True)
class OriginalIdentity:
    """What re-identification needs.

    The original UID of each replacement, and patient and study as DICOM JSON by original Study UID.
    """

    uids: Mapping[str, str]
    studies: Mapping[str, str]


def study_attributes(data: bytes) -> str:
    """Return the patient and study attributes of a stored object as DICOM JSON (PS3.18 F), for re-identification."""
    dataset = pydicom.dcmread(
        io.BytesIO(data), stop_before_pixels=True, specific_tags=list(_PATIENT_AND_STUDY)
    )
    kept = Dataset()
    for keyword in _PATIENT_AND_STUDY:
        if keyword in dataset:
            kept[keyword] = dataset[keyword]
    return str(kept.to_json())


def replacements_in(data: bytes, name: str = "") -> frozenset[str]:
    """Return every UID in an object that the standard does not register: what its `OriginalIdentity` should know."""
    return frozenset(uid for _, uid in _private_uids(_read(data, name)))


def reidentify(data: bytes, origin: OriginalIdentity, name: str = "") -> bytes:
    """Return the object as a Part 10 file with references, patient and study restored.

    It gets its own SOP Instance UID and Series Instance UID, the same for the same bytes: under the original's, two
    contents would have one name. Raises ReidentificationRefused, naming what is unknown, where any reference is not of
    the project.
    """
    dataset = _read(data, name)
    if dataset.get("SOPClassUID") not in TAKEN_BACK:
        raise ReidentificationRefused(
            f"{name} is no RT Structure Set or Segmentation: only these are brought back"
        )
    unknown = [
        f"{keyword} {uid}"
        for keyword, uid in _private_uids(dataset)
        if uid not in origin.uids and keyword not in _OWN and uid not in _names(dataset)
    ]
    if unknown:
        raise ReidentificationRefused(f"{name}: not of this project: {', '.join(dict.fromkeys(unknown))}")
    study_uid = origin.uids[dataset.StudyInstanceUID]
    if study_uid not in origin.studies:
        raise ReidentificationRefused(
            f"{name}: patient and study of {dataset.StudyInstanceUID} are not known"
        )
    fresh = {
        str(dataset[keyword].value): derived_uid("way back", keyword, _digest(data))
        for keyword in _NAMES_THE_OBJECT
    }
    for element in walk(dataset):
        if element.VR == "UI":
            element.value = [UID(fresh.get(uid, origin.uids.get(uid, uid))) for uid in texts(element)] or None
    _give_back(dataset, origin.studies[study_uid])
    return part10(dataset)


def _names(dataset: Dataset) -> frozenset[str]:
    return frozenset(str(dataset[keyword].value) for keyword in _NAMES_THE_OBJECT if keyword in dataset)


def _private_uids(dataset: Dataset) -> Iterator[tuple[str, str]]:
    for element in walk(dataset):
        if element.VR == "UI":
            yield from (
                (f"{element.keyword}", uid)
                for uid in texts(element)
                if uid and not uid.startswith(STANDARD_ROOT)
            )


def _give_back(dataset: Dataset, attributes: str) -> None:
    dataset.decode()  # its texts may be in another character set than the patient's name
    for keyword in (*_PATIENT_AND_STUDY, *_OF_THE_COPY):
        if keyword in dataset:
            del dataset[keyword]
    original = Dataset.from_json(attributes)
    dataset.update(original)
    if "SpecificCharacterSet" in dataset or not attributes.isascii():
        dataset.SpecificCharacterSet = "ISO_IR 192"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(data: bytes, name: str) -> Dataset:
    try:
        dataset = pydicom.dcmread(io.BytesIO(data))
        missing = [
            keyword for keyword in (*_NAMES_THE_OBJECT, "StudyInstanceUID") if not dataset.get(keyword)
        ]
    except (*PARSE_ERRORS, pydicom.errors.InvalidDicomError) as error:
        raise ReidentificationRefused(f"{name} cannot be read as DICOM: {error}") from error
    if missing:
        raise ReidentificationRefused(f"{name} has no {', '.join(missing)}")
    return dataset
