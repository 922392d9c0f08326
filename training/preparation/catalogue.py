"""The content of a source folder.

Series, structure sets and NIfTI patients are kept in a small database on disk, so that memory use is constant.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage, RTStructureSetStorage

from evaluation.errors import EvaluationRefused
from evaluation.nifti import is_image, read_masks, stem
from imaging.errors import PARSE_ERRORS
from training.preparation.errors import PreparationRefused

_TABLES = """
CREATE TABLE images (series TEXT, path TEXT, patient TEXT);
CREATE TABLE sets (path TEXT, series TEXT, patient TEXT, approved INTEGER, made TEXT, uid TEXT);
CREATE TABLE rois (path TEXT, number INTEGER, name TEXT);
CREATE TABLE niftis (patient TEXT, image TEXT);
CREATE TABLE unused (path TEXT, reason TEXT);
CREATE INDEX image_series ON images (series);
CREATE INDEX set_series ON sets (series);
"""
_CT_NAMES = frozenset({"ct", "image", "imaging"})
_NNUNET_CHANNEL = "_0000"
_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "PatientID", "ApprovalStatus", "StructureSetDate",
    "StructureSetTime", "StructureSetROISequence", "ReferencedFrameOfReferenceSequence",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StructureSetFile:
    """A structure set that refers to a series."""

    path: Path
    approved: bool
    made: str
    uid: str


class Catalogue:
    """An index of a source folder in its own file; made again each time, and removed at the end."""

    def __init__(self, file: Path) -> None:
        """Open an empty index, replacing what an interrupted run left."""
        file.unlink(missing_ok=True)
        self._file = file
        self._database = sqlite3.connect(file)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None
    ) -> None:
        self._database.close()
        self._file.unlink(missing_ok=True)

    def add_folder(self, source: Path) -> None:
        """Index every file below a folder. Raises PreparationRefused where it is absent or has no usable image."""
        if not source.is_dir():
            raise PreparationRefused(f"{source}: no such folder")
        for path in _files(source):
            self._add(path, source)
        self._database.commit()
        images, niftis = (self._count(table) for table in ("images", "niftis"))
        if not images and not niftis:
            raise PreparationRefused(
                f"{source}: no CT image among its files, neither DICOM nor NIfTI (PATIENT/ct.nii.gz beside its masks); "
                "give the folder that holds the patients"
            )

    def series(self) -> Iterator[tuple[str, str]]:
        """Yield each CT series with its PatientID, in a fixed order."""
        query = "SELECT series, min(patient) FROM images GROUP BY series ORDER BY series"
        for series, patient in self._database.execute(query):
            yield str(series), str(patient)

    def images(self, series: str) -> list[Path]:
        """Return the files of a series."""
        rows = self._database.execute("SELECT path FROM images WHERE series = ? ORDER BY path", (series,))
        return [Path(row[0]) for row in rows]

    def structure_sets(self, series: str) -> list[StructureSetFile]:
        """Return the structure sets that refer to a series: approved ones first, newer before older."""
        rows = self._database.execute(
            "SELECT path, approved, made, uid FROM sets WHERE series = ? ORDER BY approved DESC, made DESC, uid",
            (series,),
        )
        return [StructureSetFile(path=Path(p), approved=bool(a), made=m, uid=u) for p, a, m, u in rows]

    def niftis(self) -> Iterator[tuple[str, Path]]:
        """Return the NIfTI patients, each with the CT's file."""
        rows = self._database.execute("SELECT patient, image FROM niftis ORDER BY patient").fetchall()
        return ((str(patient), Path(image)) for patient, image in rows)

    def roi_names(self) -> Iterator[tuple[str, int]]:
        """Return the distinct ROI names, each with the number of structure sets or patients that have it."""
        rows = self._database.execute(
            "SELECT name, count(DISTINCT path) FROM rois GROUP BY name ORDER BY name"
        ).fetchall()
        return ((str(name), int(count)) for name, count in rows)

    def unused(self) -> Iterator[tuple[Path, str]]:
        """Yield the files that were not used, with the reason."""
        yield from (
            (Path(p), str(r))
            for p, r in self._database.execute("SELECT path, reason FROM unused ORDER BY path")
        )
        query = "SELECT path FROM sets WHERE series NOT IN (SELECT series FROM images) ORDER BY path"
        for (path,) in self._database.execute(query):
            yield Path(path), "the structure set refers to no CT series of this folder"

    def _count(self, table: str) -> int:
        counts = {"images": "SELECT count(*) FROM images", "niftis": "SELECT count(*) FROM niftis"}
        return int(self._database.execute(counts[table]).fetchone()[0])

    def _add(self, path: Path, source: Path) -> None:
        if is_image(path):
            self._add_nifti(path, source)
            return
        try:
            dataset = dcmread(path, specific_tags=_TAGS, stop_before_pixels=True)
        except PARSE_ERRORS as error:
            self._unused(path, f"neither DICOM nor NIfTI: {error}")
            return
        match dataset.get("SOPClassUID"):
            case uid if uid == CTImageStorage:
                row = (_text(dataset, "SeriesInstanceUID"), str(path), _text(dataset, "PatientID"))
                self._database.execute("INSERT INTO images VALUES (?, ?, ?)", row)
            case uid if uid == RTStructureSetStorage:
                self._add_set(path, dataset)
            case other:
                self._unused(path, f"SOP Class {other} is neither CT nor RT Structure Set")

    def _add_set(self, path: Path, dataset: Dataset) -> None:
        made = _text(dataset, "StructureSetDate") + _text(dataset, "StructureSetTime")
        approved = _text(dataset, "ApprovalStatus") == "APPROVED"
        for series in sorted(set(_referenced(dataset))):
            row = (
                str(path),
                series,
                _text(dataset, "PatientID"),
                approved,
                made,
                _text(dataset, "SOPInstanceUID"),
            )
            self._database.execute("INSERT INTO sets VALUES (?, ?, ?, ?, ?, ?)", row)
        for roi in dataset.get("StructureSetROISequence") or []:
            named = (str(path), int(roi.get("ROINumber") or 0), _text(roi, "ROIName"))
            self._database.execute("INSERT INTO rois VALUES (?, ?, ?)", named)

    def _add_nifti(self, path: Path, source: Path) -> None:
        patient = _patient_of(path, source)
        if patient is None:
            return  # a mask: `masks_of` finds it next to its CT
        self._database.execute("INSERT INTO niftis VALUES (?, ?)", (patient, str(path)))
        for mask in masks_of(path):
            try:
                names = list(read_masks(mask)[1])
            except (EvaluationRefused, ValueError):
                names = []  # the case is refused, with the reason, when it is made
            rows = ((str(path), 0, name) for name in names)
            self._database.executemany("INSERT INTO rois VALUES (?, ?, ?)", rows)

    def _unused(self, path: Path, reason: str) -> None:
        self._database.execute("INSERT INTO unused VALUES (?, ?)", (str(path), reason))


def masks_of(image: Path) -> list[Path]:
    """Return a NIfTI CT's mask files: labelsTr/NAME for imagesTr/NAME_0000, else those in and below its folder."""
    if image.parent.name.startswith("images"):
        labels = image.parent.with_name(image.parent.name.replace("images", "labels", 1))
        name = stem(image).removesuffix(_NNUNET_CHANNEL)
        return sorted(path for path in labels.glob(f"{name}.*") if is_image(path))
    return sorted(path for path in image.parent.rglob("*") if is_image(path) and path != image)


def _patient_of(path: Path, source: Path) -> str | None:
    """Return a CT's patient: the name of its folder or, in nnU-Net's layout, of its file; None for a mask."""
    name = stem(path)
    if path.parent.name.startswith("images") and name.endswith(_NNUNET_CHANNEL):
        return name.removesuffix(_NNUNET_CHANNEL)
    return path.parent.relative_to(source).as_posix() if name.casefold() in _CT_NAMES else None


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _files(path)
        elif path.is_file() and not path.name.startswith(".") and path.name != "DICOMDIR":
            yield path


def _referenced(dataset: Dataset) -> Iterator[str]:
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                yield _text(series, "SeriesInstanceUID")


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()
