"""NIfTI masks: one file per structure, a label map with names, or a bit field with the names of its bits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from evaluation.errors import EvaluationRefused
from imaging.volumes.grid import Grid, Vector
from imaging.volumes.volume import Mask

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
_LABEL_FILES = ("labels.json", "dataset.json", "structures.json")

LabelNames = Mapping[str, tuple[int, ...]]  # a structure's values in a label map, or its one bit


def is_image(path: Path) -> bool:
    """Tell whether a file is named as an image that this module reads."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """Return the file's name without an image's suffixes."""
    return next(
        path.name[: -len(s)] for s in sorted(SUFFIXES, key=len)[::-1] if path.name.lower().endswith(s)
    )


def read_masks(path: Path, names: LabelNames | None = None) -> tuple[Grid, dict[str, Mask]]:
    """Return the structures of one image file by name, on the file's own grid.

    A file of 0 and one other value is one structure, named after the file. More values need names: `labels.json` or
    nnU-Net's `dataset.json` beside it ({"labels": {"Larynx": 3}}; a list of values is a region), or `structures.json`
    ({"bit": {"Larynx": 5}}). `names` are those of a label map that has no such file.
    Raises EvaluationRefused for an image that is not a mask or whose values have no names.
    """
    grid, array = read_array(path)
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise EvaluationRefused(f"{path}: some values are not numbers; a mask has whole numbers")
        if not np.array_equal(array, np.rint(array)):
            raise EvaluationRefused(
                f"{path}: values such as {array.ravel()[np.argmax(array % 1 > 0)]:g} are not a mask's"
            )
        array = array.astype(np.int64)
    values = [int(v) for v in np.unique(array) if v]
    labels, bits = _names(path)
    labels = names if labels is None else labels
    if labels is None:
        if len(values) > 1:
            raise EvaluationRefused(
                f"{path}: values {values[:8]} stand for several structures; put labels.json beside it"
            )
        return grid, {stem(path): Mask.from_full(array != 0)}
    if bits:
        return grid, {name: Mask.from_full((array >> bit) & 1 != 0) for name, (bit,) in labels.items()}
    unnamed = sorted(set(values).difference(*labels.values()))
    if unnamed:
        where = "in the labels beside it" if labels is not names else f"among {', '.join(labels)}"
        raise EvaluationRefused(f"{path}: value {unnamed[0]} has no name {where}")
    return grid, {
        name: Mask.from_full(np.isin(array, wanted)) for name, wanted in labels.items() if any(wanted)
    }


def read_array(path: Path) -> tuple[Grid, NDArray[Any]]:
    """Return an image file's values (z, y, x) and grid; EvaluationRefused where it is not a three-dimensional image."""
    try:
        image: Any = sitk.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise EvaluationRefused(f"{path}: cannot be read as an image: {reason}") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise EvaluationRefused(f"{path}: not a three-dimensional image with one value per voxel")
    along = np.array(image.GetDirection()).reshape(3, 3).T
    x, y, z = (_vector(axis) for axis in along)
    dx, dy, dz = image.GetSpacing()
    array = np.asarray(sitk.GetArrayFromImage(image))
    try:
        grid = Grid(
            shape_zyx=(array.shape[0], array.shape[1], array.shape[2]),
            origin_lps=_vector(np.array(image.GetOrigin())),
            spacing_zyx_mm=(dz, dy, dx),
            axes_lps=(z, y, x),
        )
    except ValueError as reason:
        raise EvaluationRefused(f"{path}: its geometry is not a grid: {reason}") from reason
    return grid, array


def write_mask(path: Path, mask: Mask, grid: Grid) -> None:
    """Write a mask as an image of 0 and 1 on its grid."""
    image: Any = sitk.GetImageFromArray(mask.full(grid.shape_zyx).astype(np.uint8))
    image.SetOrigin(grid.origin_lps)
    image.SetSpacing(grid.spacing_zyx_mm[::-1])
    image.SetDirection(np.array(grid.axes_lps)[::-1].T.ravel().tolist())
    sitk.WriteImage(image, str(path))


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(v) for v in values)
    return x, y, z


def _names(path: Path) -> tuple[LabelNames | None, bool]:
    """Return the values' names, and whether the values are bits; None where no file beside the image states them."""
    folders = (path.parent, path.parent.parent, path.parent.parent.parent)
    own = path.with_name(stem(path) + ".json")
    for file in (own, *(folder / name for folder in folders for name in _LABEL_FILES)):
        if file.is_file():
            content = _content(file)
            for key in ("labels", "bit"):
                if key in content:
                    return _numbers(file, content[key], is_bits=key == "bit"), key == "bit"
    return None, False


def _content(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EvaluationRefused(f"{file}: not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise EvaluationRefused(f"{file}: expected an object with the names of the values")
    return content


def _numbers(file: Path, labels: object, *, is_bits: bool) -> LabelNames:
    found: dict[str, tuple[int, ...]] = {}
    for name, value in labels.items() if isinstance(labels, dict) else ():
        values = value if isinstance(value, list) and not is_bits else [value]
        if not values or any(type(one) is not int for one in values):
            raise EvaluationRefused(
                f"{file}: {name}: expected a whole number, or a list of them for a region"
            )
        found[str(name)] = tuple(values)
    if not found:
        raise EvaluationRefused(f"{file}: expected a name and a whole number for each structure")
    return found
