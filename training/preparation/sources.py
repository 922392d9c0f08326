"""A CT with its drawn structures, from DICOM or NIfTI, one patient at a time."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.errors import EvaluationRefused
from evaluation.nifti import is_image, read_array, read_masks
from imaging.ct.series import SourceFile, read_ct
from imaging.errors import ImageRefused, StructureSetUnreadable
from imaging.rtstruct.masks import masks_on_grid
from imaging.rtstruct.reading import read_structure_set
from imaging.volumes.grid import Grid
from imaging.volumes.orientation import canonical, canonical_masks
from imaging.volumes.volume import Mask, Masks, Volume
from training.preparation.catalogue import Catalogue, StructureSetFile, masks_of
from training.preparation.errors import CaseRefused
from training.preparation.names import NameTable

_SAME_GRID = 1e-3  # mm, and of a direction cosine


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """A CT and masks on its grid, canonical (z to the head, y to the back, x to the left), with notes."""

    volume: Volume
    masks: Mapping[str, Mask]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A future case: the patient's identifier, a name for messages, and the files that it is made from."""

    patient_id: str
    called: str
    files: tuple[Path, ...]
    sets: tuple[StructureSetFile, ...] = ()

    @property
    def is_nifti(self) -> bool:
        """Whether the files are NIfTI."""
        return is_image(self.files[0])

    def sha256(self) -> str:
        """Return a digest of all files' content, to tell whether a case was made from the same."""
        digest = hashlib.sha256()
        for path in (*self.files, *(chosen.path for chosen in self.sets)):
            with path.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
        return digest.hexdigest()

    def read(self, names: NameTable) -> Drawn:
        """Read CT and structures. Raises CaseRefused with the object and the reason."""
        return _nifti(self, names) if self.is_nifti else _dicom(self, names)


def sources(catalogue: Catalogue) -> Iterator[Source]:
    """Yield everything in a folder that could become a case."""
    for series, patient in catalogue.series():
        sets = tuple(catalogue.structure_sets(series))
        yield Source(patient_id=patient, called=series, files=tuple(catalogue.images(series)), sets=sets)
    for patient, image in catalogue.niftis():
        yield Source(patient_id=patient, called=patient, files=(image, *masks_of(image)))


def _dicom(source: Source, names: NameTable) -> Drawn:
    if not source.sets:
        raise CaseRefused("no structure set refers to this CT series")
    chosen = source.sets[0]
    notes = []
    if len(source.sets) > 1:
        kind = "approved " if chosen.approved else ""
        notes.append(f"{len(source.sets)} structure sets; the newest {kind}one is taken, {chosen.uid}")
    try:
        series = read_ct([SourceFile(name=p.name, data=p.read_bytes()) for p in source.files])
        found = read_structure_set(chosen.path.read_bytes())
        on_grid = masks_on_grid(found, series)
    except ImageRefused as error:
        raise CaseRefused(error.message) from error
    except (StructureSetUnreadable, OSError) as error:
        raise CaseRefused(f"structure set {chosen.uid}: {error}") from error
    by_number = on_grid.by_number
    read = ((roi.name, by_number[roi.number]) for roi in found.rois if roi.number in by_number)
    meant = _meanings(read, names, notes)
    masks = canonical_masks(Masks(grid=series.volume.grid, by_code=meant))
    return Drawn(volume=canonical(series.volume), masks=masks.by_code, notes=(*notes, *on_grid.notes))


def _meanings(rois: Iterable[tuple[str, Mask]], names: NameTable, notes: list[str]) -> dict[str, Mask]:
    """Return masks by structure; of two ROIs that mean the same, neither is used: a person must choose in names.csv."""
    found: dict[str, tuple[str, Mask]] = {}
    disputed: set[str] = set()
    for roi_name, mask in rois:
        code = names.structure(roi_name)
        if code is None or not mask.voxels():
            continue
        if code in found:
            disputed.add(code)
            notes.append(
                f"{code}: the ROIs {found[code][0]!r} and {roi_name!r} both mean it; neither is taken"
            )
        found[code] = (roi_name, mask)
    return {code: mask for code, (_, mask) in found.items() if code not in disputed}


def _nifti(source: Source, names: NameTable) -> Drawn:
    image, *mask_files = source.files
    volume = _volume(image)
    notes: list[str] = []
    meant = _meanings(_rois(mask_files, volume.grid), names, notes)
    masks = canonical_masks(Masks(grid=volume.grid, by_code=meant))
    return Drawn(volume=canonical(volume), masks=masks.by_code, notes=tuple(notes))


def _volume(path: Path) -> Volume:
    try:
        grid, array = read_array(path)
    except (EvaluationRefused, ValueError) as error:
        raise CaseRefused(str(error)) from error
    if not np.isfinite(array).all() or array.min() < -32768 or array.max() > 32767:
        raise CaseRefused(f"{path.name}: its values are not Hounsfield units")
    return Volume(array_zyx=np.round(array).astype(np.int16), grid=grid)


def _rois(mask_files: Iterable[Path], grid: Grid) -> Iterator[tuple[str, Mask]]:
    for path in mask_files:
        try:
            own, masks = read_masks(path)
        except (EvaluationRefused, ValueError) as error:
            raise CaseRefused(str(error)) from error
        if not _same(own, grid):
            raise CaseRefused(f"{path.name} does not lie on the grid of the CT; resample it to the CT first")
        yield from masks.items()


def _same(one: Grid, other: Grid) -> bool:
    return one.shape_zyx == other.shape_zyx and all(
        np.allclose(a, b, atol=_SAME_GRID, rtol=0)
        for a, b in (
            (one.origin_lps, other.origin_lps),
            (one.spacing_zyx_mm, other.spacing_zyx_mm),
            (one.axes_lps, other.axes_lps),
        )
    )
