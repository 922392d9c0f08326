from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from imaging.ct.series import SourceFile, read_ct
from imaging.masks.body import _pixels, _without_small_holes, body_of
from imaging.volumes.volume import Volume
from phantoms.canvas import paint
from phantoms.head_neck import anatomy, head_neck_grid, make_head_neck, structures
from phantoms.parameters import HeadNeckParameters
from phantoms.pose import Pose
from tests.imaging.small_masks import POSITIONS, grid

SHAPE = (6, 120, 160)
SPACING = (3.0, 2.0, 2.5)
KBP001 = Path(__file__).parents[3] / "shared/data/dicom/openkbp/KBP001"
HU = NDArray[np.int16]


def ellipse(y_mm: float, x_mm: float, ry_mm: float, rx_mm: float) -> NDArray[np.bool_]:
    """Pixels of one slice whose centre lies in the ellipse; mm from the image's corner."""
    y, x = np.ogrid[: SHAPE[1], : SHAPE[2]]
    return np.asarray(((y * SPACING[1] - y_mm) / ry_mm) ** 2 + ((x * SPACING[2] - x_mm) / rx_mm) ** 2 <= 1)


TRUNK = ellipse(110, 200, 60, 90)  # rows 25 to 85


def lying(*parts: tuple[NDArray[np.bool_], int]) -> HU:
    """Six equal slices: a trunk of 20 HU in air, and more parts painted over it in order."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, TRUNK] = 20
    for where, value in parts:
        hu[:, where] = value
    return hu


def found(hu: HU, position: str = "HFS") -> NDArray[np.bool_]:
    on = grid((hu.shape[0], hu.shape[1], hu.shape[2]), SPACING, POSITIONS[position])
    return body_of(Volume(array_zyx=hu, grid=on)).full(on.shape_zyx)


def shell(rows: slice, columns: slice, *, thickness: int = 1) -> NDArray[np.bool_]:
    """A hollow box."""
    plane = np.zeros(SHAPE[1:], bool)
    plane[rows, columns] = True
    plane[
        rows.start + thickness : rows.stop - thickness, columns.start + thickness : columns.stop - thickness
    ] = 0
    return plane


def test_a_trunk_is_found_as_it_is() -> None:
    assert np.array_equal(found(lying()), np.broadcast_to(TRUNK, SHAPE))


@pytest.mark.parametrize("position", ["HFS", "FFP", "HFP", "FFDR"])
def test_the_position_does_not_matter(position: str) -> None:
    assert np.array_equal(found(lying(), position), np.broadcast_to(TRUNK, SHAPE))


def test_air_inside_is_filled_and_air_that_opens_to_the_outside_is_not() -> None:
    lungs = ellipse(110, 160, 35, 30) | ellipse(110, 240, 35, 30)
    cleft = ellipse(55, 200, 25, 8)
    body = found(lying((lungs, -800), (cleft, -1000)))
    assert np.array_equal(body, np.broadcast_to(TRUNK & ~cleft, SHAPE))


def test_a_couch_below_is_not_the_patient() -> None:
    couch = shell(slice(90, 115), slice(5, 155))
    assert np.array_equal(found(lying((couch, 100))), np.broadcast_to(TRUNK, SHAPE))


@pytest.mark.parametrize("above", [False, True])
def test_a_flat_couch_that_touches_is_cut_off_at_its_face(above: bool) -> None:
    # the trunk sinks 4 rows into the board: rows 82 to 85 of the trunk are behind the board's face
    couch = shell(slice(82, 107), slice(5, 155), thickness=2)
    hu = lying((couch, 100))
    flat = TRUNK.copy()
    flat[82:] = False
    order = slice(None, None, -1) if above else slice(None)
    body = found(np.ascontiguousarray(hu[:, order]))[:, order]
    assert not body[:, 82:].any()
    assert np.array_equal(body, np.broadcast_to(flat, SHAPE))


def test_a_thin_mask_over_the_patient_goes_where_it_stands_off() -> None:
    mask = ellipse(110, 200, 72, 102) & ~ellipse(110, 200, 70, 100)
    assert np.array_equal(found(lying((mask, 50))), np.broadcast_to(TRUNK, SHAPE))


def test_ears_belong_to_the_head() -> None:
    ear = np.zeros(SHAPE[1:], bool)
    ear[50:52, 16:46] = True  # 4 mm thin, sticks out by 50 mm of air to the left edge of the trunk
    ear[:, :28] = False
    body = found(lying((ear, 0)))
    assert np.array_equal(body, np.broadcast_to(TRUNK | ear, SHAPE))


def test_the_vertex_too_small_for_the_opening_belongs_to_the_head() -> None:
    hu = lying()
    hu[4:] = -1000
    tip = ellipse(110, 200, 3, 3)
    hu[4, tip] = 20
    body = found(hu)
    assert np.array_equal(body[4], tip)
    assert not body[5].any()


def test_two_legs_are_both_the_patient_and_a_board_of_their_size_is_not() -> None:
    left, right = ellipse(110, 120, 50, 50), ellipse(110, 280, 45, 45)
    board = np.zeros(SHAPE[1:], bool)
    board[95:105, 5:155] = True  # 20 mm thick, 375 mm wide
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, left | right] = 20
    hu[:, board] = 20
    assert np.array_equal(found(hu), np.broadcast_to(left | right, SHAPE))


@pytest.mark.parametrize("what", ["air", "couch"])
def test_without_a_patient_nothing_is_found(what: str) -> None:
    hu = np.full(SHAPE, -1000, np.int16)
    if what == "couch":
        hu[:, shell(slice(90, 115), slice(5, 155), thickness=2)] = 100
    assert not found(hu).any()


def test_a_patient_cut_by_the_image_stays_whole() -> None:
    hu = np.full(SHAPE, 20, np.int16)
    assert found(hu).all()


def test_the_phantom_is_found_without_its_couch() -> None:
    how = HeadNeckParameters()
    on = head_neck_grid(spacing_zyx_mm=(6.0, 3.0, 3.0), shape_zyx=(24, 120, 180), top_mm=-40.0)
    skin = paint(on, Pose.of(how), anatomy(how), structures(how), how.seed).body_zyx
    volume = make_head_neck(how, on).volume
    denser = Volume(array_zyx=np.where(volume.array_zyx == -420, 100, volume.array_zyx), grid=on)
    for made in (volume, denser):
        body = body_of(made).full(on.shape_zyx)
        assert 2 * (body & skin).sum() / (body.sum() + skin.sum()) > 0.97
        # all of it in the patient, but for the board's thickness where the back lies on it
        assert (body & ~skin).sum() < 0.002 * skin.sum()


@pytest.mark.shared_data
def test_a_real_patient_is_one_piece_without_couch() -> None:
    if not KBP001.is_dir():
        pytest.skip(f"{KBP001} is absent")
    files = [SourceFile(name=path.name, data=path.read_bytes()) for path in sorted(KBP001.glob("CT*.dcm"))]
    series = read_ct(files)
    body = body_of(series.volume)
    litres = body.voxels() * series.volume.grid.voxel_volume_mm3 / 1e6
    assert litres == pytest.approx(13.7, abs=0.2)
    inside = series.volume.array_zyx[body.full(series.volume.grid.shape_zyx)]
    assert np.median(inside) > 0


@pytest.mark.parametrize("turns", range(4))
def test_a_hole_is_filled_and_a_notch_at_any_border_of_the_image_is_not(turns: int) -> None:
    plane = np.ones((40, 60), bool)
    plane[15:20, 25:30] = False
    filled = plane.copy()
    filled[15:20, 25:30] = True
    plane[10:14, :6] = filled[10:14, :6] = False  # air that the image's border cuts is outside
    given, expected = np.rot90(plane, turns), np.rot90(filled, turns)
    assert np.array_equal(_without_small_holes(given, _pixels((1.0, 1.0))), expected)


@pytest.mark.parametrize("turns", range(2))
def test_a_hole_of_90_mm_is_an_airway_and_a_longer_one_is_not(turns: int) -> None:
    plane = np.ones((40, 220), bool)
    plane[10:20, 5:95] = plane[10:20, 100:191] = False
    filled = plane.copy()
    filled[10:20, 5:95] = True
    given, expected = np.rot90(plane, turns), np.rot90(filled, turns)
    assert np.array_equal(_without_small_holes(given, _pixels((1.0, 1.0))), expected)


@pytest.mark.parametrize(("columns", "is_patient"), [(24, True), (25, False)])
def test_a_thin_part_of_60_mm_is_an_ear_and_a_longer_one_is_a_shell(columns: int, is_patient: bool) -> None:
    first = int(np.flatnonzero(TRUNK[50])[0])
    ear = np.zeros(SHAPE[1:], bool)
    ear[50, first - columns : first] = True
    assert found(lying((ear, 0)))[0, 50, first - 1] == is_patient


def box(top: int, left: int, rows: int, columns: int) -> NDArray[np.bool_]:
    """So many rows and columns, of which 2 go at each side with the opening by 8 mm."""
    plane = np.zeros(SHAPE[1:], bool)
    plane[top : top + rows, left : left + columns] = True
    return plane


def only(*parts: NDArray[np.bool_]) -> HU:
    hu = np.full(SHAPE, -1000, np.int16)
    for part in parts:
        hu[:, part] = 20
    return hu


@pytest.mark.parametrize(("rows", "is_patient"), [(5, True), (4, False)])
def test_what_is_no_thicker_than_8_mm_is_no_patient(rows: int, is_patient: bool) -> None:
    assert found(only(box(20, 20, rows, 9))).any() == is_patient


@pytest.mark.parametrize(("columns", "is_patient"), [(82, True), (84, False)])
def test_what_is_five_times_as_wide_as_high_is_a_board(columns: int, is_patient: bool) -> None:
    assert found(only(box(20, 20, 24, columns))).any() == is_patient


@pytest.mark.parametrize(("columns", "is_patient"), [(12, True), (10, False)])
def test_a_second_piece_of_a_fifth_of_the_largest_is_the_patient_too(columns: int, is_patient: bool) -> None:
    large, small = box(20, 20, 44, 44), box(20, 100, 44, columns)
    assert found(only(large, small))[:, small].any() == is_patient


@pytest.mark.parametrize(("face", "is_cut"), [(77, True), (76, False)])
def test_a_board_takes_15_mm_of_the_patient_and_no_more(face: int, is_cut: bool) -> None:
    couch = shell(slice(face, face + 25), slice(5, 155), thickness=2)
    body = found(lying((couch, 100)))
    assert body[:, face - 1].any()
    assert body[:, face + 3 : 84][:, TRUNK[face + 3 : 84]].any() != is_cut
