"""A set of contours read from a path: an RTSTRUCT with its CT, a folder of either, or image masks."""

from pathlib import Path

import numpy as np

from evaluation.contour_set import ContourSet, upright
from evaluation.dicom_folder import DicomFolder
from evaluation.errors import EvaluationRefused
from evaluation.nifti import is_image, read_array, read_masks
from evaluation.placing import place
from imaging.contours.structure_set import StructureSet
from imaging.ct.series import ImageSeries
from imaging.dose import Dose, read_dose
from imaging.errors import DoseRefused, StructureSetUnreadable
from imaging.rtstruct.reading import read_structure_set
from imaging.volumes.grid import Grid
from imaging.volumes.orientation import canonical
from imaging.volumes.volume import Volume


def read_both(found: Path, reference: Path, ct: Path | None = None) -> tuple[ContourSet, ContourSet]:
    """Read the set under evaluation and its reference, both on one image where one of them is an RTSTRUCT.

    The image is the CT of the folder `ct`, else of the reference's folder, else of the other's; where there is no CT,
    the image masks of the other set. EvaluationRefused says what is missing.
    """
    if ct is not None:
        series = DicomFolder.of(ct).read_ct(_named(found) or _named(reference))
        return read_contours(found, series), read_contours(reference, series)
    image = next((path for path in (reference, found) if not is_dicom(path)), None)
    if image is not None:
        masks = read_contours(image)
        other = found if image is reference else reference
        read = read_contours(other, None if not is_dicom(other) else masks.grid)
        return (read, masks) if image is reference else (masks, read)
    home = next((folder for path in (reference, found) if (folder := _folder(path)).ct), None)
    if home is None:
        raise EvaluationRefused(f"no CT beside {reference} or {found}: name the folder of the CT (--ct)")
    series = home.read_ct(_named(reference))
    return read_contours(found, series), read_contours(reference, series)


def is_dicom(path: Path) -> bool:
    """Tell whether a path holds an RTSTRUCT rather than image masks; EvaluationRefused where it does not exist."""
    if path.is_dir():
        return not any(is_image(file) for file in path.iterdir())
    if not path.is_file():
        raise EvaluationRefused(f"{path}: no such file or folder")
    return not is_image(path)


def read_contours(path: Path, image: ImageSeries | Grid | None = None, label: str = "") -> ContourSet:
    """Read the set of contours at a path: an RTSTRUCT file, an image mask, or a folder with one RTSTRUCT or with masks.

    An RTSTRUCT is placed on `image`, or else on the CT in its own folder. Raises EvaluationRefused where there is no
    set, or more than one, or where it lies in another frame of reference than the CT.
    """
    label = label or path.name
    if is_dicom(path):
        file = structure_set_file(path)
        return _from_rtstruct(file, image, label)
    files = [path] if path.is_file() else [file for file in sorted(path.iterdir()) if is_image(file)]
    return _from_images(files, label)


def read_dose_file(path: Path) -> Dose:
    """Read the dose at a path: an RT Dose file, a folder with one, or an image (NIfTI) whose values are Gy."""
    if path.is_dir():
        doses = DicomFolder.of(path).doses
        if len(doses) != 1:
            raise EvaluationRefused(f"{path}: {len(doses)} RT Dose files; expected one")
        path = doses[0]
    if not path.is_file():
        raise EvaluationRefused(f"{path}: no such file or folder")
    if not is_image(path):
        try:
            return read_dose(path.read_bytes(), str(path))
        except DoseRefused as reason:
            raise EvaluationRefused(str(reason)) from reason
    grid, values = read_array(path)
    if not np.isfinite(values).all() or values.min() < 0:
        raise EvaluationRefused(f"{path}: values below 0 or not numbers; expected a dose in Gy")
    return Dose(array_zyx=np.asarray(values, np.float32), grid=grid, frame_of_reference_uid="")


def read_volume(path: Path) -> Volume:
    """Read a CT from an image file (NIfTI) in HU, upright; EvaluationRefused where its values are not HU."""
    grid, values = read_array(path)
    hu = np.rint(values)
    if not np.isfinite(values).all() or hu.min() < -32768 or hu.max() > 32767:
        raise EvaluationRefused(f"{path}: values from {values.min():g} to {values.max():g} are not a CT's")
    return canonical(Volume(array_zyx=hu.astype(np.int16), grid=grid))


def structure_set_file(path: Path) -> Path:
    """Return the RTSTRUCT at a path: the file itself, or the only one in a folder."""
    if path.is_file():
        return path
    sets = DicomFolder.of(path).structure_sets
    if len(sets) != 1:
        raise EvaluationRefused(
            f"{path}: {len(sets)} RT Structure Sets and no image masks; expected one set of contours"
        )
    return sets[0]


def _from_images(paths: list[Path], label: str) -> ContourSet:
    grid, masks = upright(*read_masks(paths[0]))
    for path in paths[1:]:
        own_grid, own = upright(*read_masks(path))
        moved = ContourSet(label=str(path), grid=own_grid, masks=own).on_grid(grid)
        twice = sorted(masks.keys() & moved.masks.keys())
        if twice:
            raise EvaluationRefused(f"{path}: {twice[0]} is in another file of the folder too")
        masks |= moved.masks
    return ContourSet(label=label, grid=grid, masks=masks)


def _from_rtstruct(path: Path, image: ImageSeries | Grid | None, label: str) -> ContourSet:
    try:
        structure_set = read_structure_set(path.read_bytes())
        target = image if image is not None else _own_ct(path, structure_set)
        return place(structure_set, target, label)
    except (StructureSetUnreadable, EvaluationRefused) as reason:
        raise EvaluationRefused(f"{path}: {reason}") from reason


def _own_ct(path: Path, structure_set: StructureSet) -> ImageSeries:
    folder = DicomFolder.of(path.parent)
    if not folder.ct:
        raise EvaluationRefused(
            f"{path}: no CT beside it to place its contours on; name the folder of the CT (--ct)"
        )
    return folder.read_ct(structure_set.referenced_series_uids)


def _folder(path: Path) -> DicomFolder:
    return DicomFolder.of(path if path.is_dir() else path.parent)


def _named(path: Path) -> tuple[str, ...]:
    """Return the series that the RTSTRUCT at a path refers to; none for image masks."""
    if not is_dicom(path):
        return ()
    file = structure_set_file(path)
    try:
        return read_structure_set(file.read_bytes()).referenced_series_uids
    except StructureSetUnreadable as reason:
        raise EvaluationRefused(f"{file}: {reason}") from reason
