"""CT slices, as files in any order, to one HU volume in patient coordinates; or a refusal that says why."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from imaging.volume import Volume


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One received object: a name for messages about it (no patient data), and its Part 10 bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class SliceReference:
    """What a structure set needs to point at one image: its UIDs and its ImagePositionPatient, verbatim."""

    sop_class_uid: str
    sop_instance_uid: str
    position: tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, eq=False)
class CtSeries:
    """One CT series: the volume, a reference for each slice in index order, and one slice's header.

    `header` is the dataset of the first slice without pixels. Read it, but do not change it: a structure set
    copies the patient's and study's values from it byte for byte.
    """

    volume: Volume
    slices: tuple[SliceReference, ...]
    header: Dataset
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    patient_position: str


def read_ct(files: Sequence[SourceFile]) -> CtSeries:
    """The volume of one axial CT series, whatever the order of its files; ImageRefused for anything else."""
    raise NotImplementedError
