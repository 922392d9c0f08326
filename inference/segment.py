"""From a volume to one mask per structure on the volume's own grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imaging.volumes.orientation import canonical, restore
from imaging.volumes.volume import Mask, Masks, Volume
from inference.client import Prediction
from inference.contract import ModelContract, ModelStructure
from inference.errors import ModelFailed
from inference.postprocess import remarks


class Predictor(Protocol):
    """What runs a model: a TritonClient or, in tests, something simpler."""

    def infer(self, contract: ModelContract, volume: Volume) -> Prediction:
        """Return the model's prediction for a volume in canonical orientation."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """Masks on the CT's own grid, one per label of the model (perhaps empty), with mean probabilities and notes."""

    masks: Masks
    mean_probability: Mapping[str, float]
    notes: tuple[str, ...]


def segment(volume: Volume, contract: ModelContract, client: Predictor) -> Segmentation:
    """Contour a CT of any axial patient position with one model.

    Raises ModelUnavailable (try again later), or ModelFailed, also where the answer does not fit the CT or the
    contract.
    """
    upright = canonical(volume)
    prediction = client.infer(contract, upright)
    _expect_fitting(prediction, contract, upright)
    by_code = dict(zip(contract.labels, masks_of(prediction.planes, len(contract.labels)), strict=True))
    notes = [note for structure in contract.structures for note in _remarks(structure, by_code, upright)]
    return Segmentation(
        masks=restore(Masks(grid=upright.grid, by_code=by_code), volume.grid),
        mean_probability={
            code: float(value)
            for code, value in zip(contract.labels, prediction.mean_probability, strict=True)
        },
        notes=tuple(notes),
    )


def masks_of(planes: NDArray[np.uint8], count: int) -> list[Mask]:
    """Extract the first ``count`` structures from bit planes (plane, z, y, x), each cropped to its own box.

    A plane is scanned once for its eight boxes: a whole-body model has a hundred structures.
    """
    found: list[Mask] = []
    for first, plane in zip(range(0, count, 8), planes, strict=True):
        across = np.bitwise_or.reduce(plane, axis=0)
        profiles = (
            np.bitwise_or.reduce(plane.reshape(len(plane), -1), axis=1),
            np.bitwise_or.reduce(across, axis=1),
            np.bitwise_or.reduce(across, axis=0),
        )
        found += [_cut(plane, profiles, np.uint8(1 << bit)) for bit in range(min(8, count - first))]
    return found


def _cut(plane: NDArray[np.uint8], profiles: tuple[NDArray[np.uint8], ...], bit: np.uint8) -> Mask:
    places = [np.flatnonzero(profile & bit) for profile in profiles]
    if not len(places[0]):
        return Mask.empty()
    box = tuple(slice(int(where[0]), int(where[-1]) + 1) for where in places)
    z, y, x = (part.start for part in box)
    return Mask(crop_zyx=(plane[box] & bit) != 0, start_zyx=(z, y, x))


def _remarks(structure: ModelStructure, by_code: Mapping[str, Mask], upright: Volume) -> tuple[str, ...]:
    mask, slices = by_code[structure.code], upright.grid.shape_zyx[0]
    return remarks(
        structure,
        volume_cc=mask.voxels() * upright.grid.voxel_volume_mm3 / 1000.0,
        touches_first=mask.start_zyx[0] == 0,
        touches_last=mask.start_zyx[0] + mask.crop_zyx.shape[0] == slices,
    )


def _expect_fitting(prediction: Prediction, contract: ModelContract, upright: Volume) -> None:
    model = f"model {contract.name} version {contract.version}"
    expected = (contract.planes, *upright.grid.shape_zyx)
    if prediction.planes.shape != expected:
        raise ModelFailed(f"{model}: expected masks of shape {expected}, found {prediction.planes.shape}")
    if prediction.mean_probability.shape != (len(contract.labels),):
        raise ModelFailed(
            f"{model}: expected {len(contract.labels)} probabilities, found {prediction.mean_probability.shape}"
        )
    if not (np.isfinite(prediction.mean_probability).all()):
        raise ModelFailed(f"{model}: a mean probability is not a number")
    unused = 8 * contract.planes - len(contract.labels)
    if unused and int(prediction.planes[-1].max(initial=0)) >= 1 << (8 - unused):
        raise ModelFailed(f"{model}: bits beyond the {len(contract.labels)} structures are set")
