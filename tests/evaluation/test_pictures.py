import io

import numpy as np
from PIL import Image

from evaluation.pair import MaskPair
from evaluation.report.pictures import FOUND_RGB, REFERENCE_RGB, three_planes
from imaging.volumes.grid import Grid
from imaging.volumes.volume import Volume

GRID = Grid(
    shape_zyx=(20, 40, 50),
    origin_lps=(0.0, 0.0, 0.0),
    spacing_zyx_mm=(3.0, 1.0, 1.0),
    axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


def box(z: slice, y: slice, x: slice) -> np.ndarray:
    full = np.zeros(GRID.shape_zyx, bool)
    full[z, y, x] = True
    return full


def drawn(found: np.ndarray, reference: np.ndarray, volume: Volume | None) -> np.ndarray:
    png = three_planes(MaskPair.of_arrays(found, reference, GRID), volume)
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"))


def count(picture: np.ndarray, rgb: tuple[int, int, int]) -> int:
    return int((picture == rgb).all(axis=-1).sum())


def test_both_outlines_are_drawn_in_their_colours_over_the_ct() -> None:
    volume = Volume(array_zyx=np.full(GRID.shape_zyx, 40, np.int16), grid=GRID)
    one = box(slice(5, 12), slice(10, 25), slice(10, 25))
    picture = drawn(one, one & ~box(slice(6, 11), slice(12, 20), slice(12, 20)), volume)
    assert min(count(picture, FOUND_RGB), count(picture, REFERENCE_RGB)) > 500
    assert count(picture, (127, 127, 127)) > 1000, "40 HU lies in the middle of the window"


def test_a_missing_structure_shows_the_reference_alone_also_without_a_ct() -> None:
    picture = drawn(np.zeros(GRID.shape_zyx, bool), box(slice(0, 3), slice(0, 9), slice(0, 9)), None)
    assert count(picture, FOUND_RGB) == 0
    assert count(picture, REFERENCE_RGB) > 200


def test_cuts_go_where_the_masks_differ() -> None:
    """Equal but for one slice: that slice is shown, with both outlines apart."""
    reference = box(slice(4, 12), slice(10, 20), slice(10, 20))
    found = reference.copy()
    found[9, 20:30, 10:20] = True
    picture = drawn(found, reference, None)
    axial = picture[:, : picture.shape[1] // 3]
    assert count(axial, FOUND_RGB) > 50
