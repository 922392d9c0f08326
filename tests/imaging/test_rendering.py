import dataclasses

import numpy as np
import pytest

from imaging.structures import CATALOGUE
from imaging.volumes.grid import Grid
from imaging.volumes.rendering import PANEL_PX, picture
from imaging.volumes.volume import Mask, Masks, Volume

SUPINE = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
FEET_FIRST_PRONE = ((0.0, 0.0, -1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0))


def case(axes: tuple[tuple[float, float, float], ...] = SUPINE) -> tuple[Volume, Masks]:
    grid = Grid(
        shape_zyx=(30, 60, 50),
        origin_lps=(0, 0, 0),
        spacing_zyx_mm=(3.0, 1.0, 1.5),
        axes_lps=(axes[0], axes[1], axes[2]),
    )
    hu = np.full(grid.shape_zyx, -1000, np.int16)
    hu[5:25, 10:50, 10:40] = 40
    full = np.zeros(grid.shape_zyx, np.bool_)
    full[12:18, 30:40, 15:22] = True
    masks = {
        "Larynx": Mask.from_full(full),
        "Parotid_L": Mask.empty(),
        "unknown": Mask.from_full(full[:, ::-1]),
    }
    return Volume(array_zyx=hu, grid=grid), Masks(grid=grid, by_code=masks)


def count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def test_three_panels_in_true_proportions_with_outlines_in_the_catalogues_colours() -> None:
    found = picture(*case(), title="A case")
    assert found.dtype == np.uint8
    assert found.ndim == 3
    height, width, _ = found.shape
    # 90 x 60 x 75 mm: the head-to-foot side fills the panel; 75 + 75 + 60 mm stand side by side
    assert width == round(75 * PANEL_PX / 90) * 2 + round(60 * PANEL_PX / 90) + 4 * 12
    assert height > PANEL_PX
    assert count(found, CATALOGUE["Larynx"].colour_rgb) > 3 * 100
    assert count(found, CATALOGUE["Parotid_L"].colour_rgb) == 13 * 13  # its square in the legend alone


def test_a_structures_own_colour_goes_before_the_catalogues_and_what_nobody_knows_is_grey() -> None:
    volume, masks = case()
    own = (1, 254, 33)
    red = {"Larynx": dataclasses.replace(CATALOGUE["Larynx"], name="Kehlkopf", colour_rgb=own)}
    found = picture(volume, masks, structures=red)
    assert count(found, own) > 3 * 100
    assert count(found, CATALOGUE["Larynx"].colour_rgb) == 0
    assert count(found, (150, 150, 150)) > 3 * 100


def test_every_patient_position_is_shown_upright() -> None:
    volume, masks = case()
    turned = Volume(
        array_zyx=np.ascontiguousarray(volume.array_zyx[::-1, ::-1]),
        grid=Grid(
            shape_zyx=volume.grid.shape_zyx,
            origin_lps=(0, 59, 87),
            spacing_zyx_mm=volume.grid.spacing_zyx_mm,
            axes_lps=FEET_FIRST_PRONE,
        ),
    )
    shape = volume.grid.shape_zyx
    by_code = {code: Mask.from_full(mask.full(shape)[::-1, ::-1]) for code, mask in masks.by_code.items()}
    assert np.array_equal(picture(volume, masks), picture(turned, Masks(grid=turned.grid, by_code=by_code)))


def test_without_structures_the_middle_of_the_volume_is_shown() -> None:
    volume, _ = case()
    found = picture(volume, Masks(grid=volume.grid, by_code={}))
    assert found.max() > 100


def test_masks_of_another_grid_are_refused() -> None:
    volume, _ = case()
    _, other = case(FEET_FIRST_PRONE)
    with pytest.raises(ValueError, match="different grids"):
        picture(volume, other)


def test_every_panel_has_the_letters_of_the_patient_on_its_four_sides() -> None:
    volume, _ = case()
    dark = Volume(array_zyx=np.full_like(volume.array_zyx, -1000), grid=volume.grid)
    found = picture(dark, Masks(grid=volume.grid, by_code={}))
    panels_px = [round(mm * PANEL_PX / 90) for mm in (75, 75, 60)]
    left = 12
    for width in panels_px:
        white = (found[-PANEL_PX - 200 :, left : left + width] > 200).all(axis=2)
        _, columns = np.nonzero(white)
        assert columns.min() < 25
        assert columns.max() > width - 25
        assert (abs(columns - width / 2) < 12).sum() > 15  # the letters at the top and at the bottom
        left += width + 12
