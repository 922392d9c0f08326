"""The attributes that every slice of a phantom's CT series carries, geometry and pixels aside."""

from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from imaging.dicom.uids import derived_uid

_DATE, _TIME = "20250102", "101500"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Patient, study and series identification of a phantom, whose name says that it is one."""

    patient_name: str = "PHANTOM^HEAD NECK"
    patient_id: str = "PHANTOM-0000"
    study: str = "1"
    body_part: str = "HEADNECK"
    series_number: int = 1


def ct_slice(who: Identity, series_key: str, instance_number: int) -> Dataset:
    """Return a CT image without position and pixels: the modules that PS3.3 A.3 requires, and what scanners add."""
    dataset = Dataset()
    _patient_and_study(dataset, who)
    _series(dataset, who, series_key)
    _image(dataset, instance_number)
    return dataset


def _patient_and_study(dataset: Dataset, who: Identity) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = who.patient_name
    dataset.PatientID = who.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.PatientComments = "Synthetic: made by a program, no person was scanned"
    dataset.StudyInstanceUID = derived_uid("phantom study", who.patient_id, who.study)
    dataset.StudyDate, dataset.StudyTime = _DATE, _TIME
    dataset.StudyID = who.study[:16]
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Phantom for planning"


def _series(dataset: Dataset, who: Identity, series_key: str) -> None:
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = derived_uid("phantom series", who.patient_id, who.study, series_key)
    dataset.SeriesNumber = str(who.series_number)
    dataset.SeriesDate, dataset.SeriesTime = _DATE, _TIME
    dataset.SeriesDescription = "Phantom CT"
    dataset.BodyPartExamined = who.body_part
    dataset.FrameOfReferenceUID = derived_uid("phantom frame", who.patient_id, who.study, series_key)
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = "Contour Node"
    dataset.ManufacturerModelName = "phantoms"
    dataset.SoftwareVersions = "1"


def _image(dataset: Dataset, instance_number: int) -> None:
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = derived_uid("phantom image", dataset.SeriesInstanceUID, str(instance_number))
    dataset.InstanceNumber = str(instance_number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.AcquisitionNumber = "1"
    dataset.AcquisitionDate, dataset.AcquisitionTime = _DATE, _TIME
    dataset.ContentDate, dataset.ContentTime = _DATE, _TIME
    dataset.KVP = "120"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.WindowCenter, dataset.WindowWidth = "40", "400"
