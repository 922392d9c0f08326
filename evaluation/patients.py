"""Cohorts in folders: the patients, and for each the sets of contours, the CT and the dose."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import EvaluationRefused
from evaluation.nifti import is_image, stem

CT_NAME, DOSE_NAME = "ct", "dose"


@dataclass(frozen=True, kw_only=True)
class PatientFolder:
    """One patient: each set's path by label, and the paths of CT and dose (None: in a set's folder, or nowhere)."""

    name: str
    sets: Mapping[str, Path]
    ct: Path | None = None
    dose: Path | None = None


@dataclass(frozen=True, kw_only=True)
class CohortFolders:
    """The patients who have both sets, and the names of those who have only one."""

    patients: tuple[PatientFolder, ...]
    incomplete: tuple[str, ...]


def cohort_of(folder: Path, reference: str) -> CohortFolders:
    """Return the cohort in `folder`: `<patient>/<set>` for each set of contours, `<patient>/ct`, `<patient>/dose`.

    CT and dose may be folders, or images (ct.nii.gz). A set is an RTSTRUCT file, an image mask, or a folder of one
    RTSTRUCT or of masks; its label is its name without suffix. Patients without the set `reference`, or with no other,
    are incomplete. Raises EvaluationRefused where no patient is complete.
    """
    if not folder.is_dir():
        raise EvaluationRefused(f"{folder} is no folder")
    every = [_patient(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    complete = tuple(p for p in every if reference in p.sets and len(p.sets) > 1)
    if not complete:
        raise EvaluationRefused(
            f"{folder}: no patient's folder holds a set '{reference}' and another; expected <patient>/{reference}, "
            f"<patient>/<another set>, <patient>/{CT_NAME}"
        )
    missing = tuple(p.name for p in every if p not in complete)
    return CohortFolders(patients=complete, incomplete=missing)


def paired_folders(found: Path, reference: Path) -> CohortFolders | None:
    """Return the patients of two folders whose subfolders or masks have the same names.

    Returns None where the folders are two single sets.
    """
    if not (found.is_dir() and reference.is_dir()):
        return None
    theirs = {path.name: path for path in reference.iterdir() if path.is_dir()}
    ours = {path.name: path for path in found.iterdir() if path.is_dir()}
    both = sorted(ours.keys() & theirs.keys() - {CT_NAME})
    if not both:
        return None
    labels = _labels(found, reference)
    patients = tuple(
        PatientFolder(
            name=name,
            sets={labels[0]: ours[name], labels[1]: theirs[name]},
            dose=_called(theirs[name], DOSE_NAME) or _called(ours[name], DOSE_NAME),
        )
        for name in both
    )
    return CohortFolders(patients=patients, incomplete=tuple(sorted(ours.keys() ^ theirs.keys())))


def one_patient(
    found: Path, reference: Path, ct: Path | None = None, dose: Path | None = None
) -> CohortFolders:
    """Return two sets of one patient as a cohort of one."""
    labels = _labels(found, reference)
    sets = dict(zip(labels, (found, reference), strict=True))
    name = stem(found) if is_image(found) else found.stem
    return CohortFolders(patients=(PatientFolder(name=name, sets=sets, ct=ct, dose=dose),), incomplete=())


def _labels(found: Path, reference: Path) -> tuple[str, str]:
    names = found.resolve().name, reference.resolve().name
    return names if names[0] != names[1] else (str(found), str(reference))


def _patient(folder: Path) -> PatientFolder:
    sets: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        label = stem(path) if is_image(path) else path.stem if path.is_file() else path.name
        if label.lower() in (CT_NAME, DOSE_NAME):
            continue
        if path.is_dir() or is_image(path) or path.suffix.lower() == ".dcm":
            sets[label] = path
    return PatientFolder(
        name=folder.name, sets=sets, ct=_called(folder, CT_NAME), dose=_called(folder, DOSE_NAME)
    )


def _called(folder: Path, name: str) -> Path | None:
    """Return the folder, DICOM file or image of this name in a folder."""
    found = (
        path
        for path in sorted(folder.iterdir())
        if (stem(path) if is_image(path) else path.stem).lower() == name
    )
    return next(found, None)
