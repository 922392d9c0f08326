"""MR series: one volume in planes of any direction, or a refusal that says which volumes lie in one series."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.uid import EnhancedMRImageStorage, MRImageStorage

from imaging.contours.exact import contours
from imaging.ct.image_kinds import ImageKind, kind_of
from imaging.ct.raw_slice import read_raw
from imaging.ct.series import ImageSeries, SourceFile, check_series, read_ct, read_images
from imaging.errors import ImageRefused, RefusalCode
from imaging.modality import Modality
from imaging.mr.signal import check_signal
from imaging.volumes.grid import Grid
from imaging.volumes.orientation import canonical, canonical_masks, restore
from imaging.volumes.volume import Mask, Masks, Volume
from phantoms.mr import MrExport, mr_files, turned_grid
from tests.imaging.ct_slices import part10, series, slice_dataset

GRID = Grid(
    shape_zyx=(6, 5, 7),
    origin_lps=(-12.5, 40.25, -33.0),
    spacing_zyx_mm=(4.4, 0.9375, 0.75),
    axes_lps=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)
ODDITIES = Path(__file__).parents[3] / "shared" / "data" / "awkward" / "pydicom-oddities"
Spoil = Callable[[int, Dataset], None]


def signal(grid: Grid = GRID) -> Volume:
    count = int(np.prod(grid.shape_zyx))
    return Volume(array_zyx=np.arange(count, dtype=np.float32).reshape(grid.shape_zyx), grid=grid)


def spoilt(files: Sequence[SourceFile], spoil: Spoil) -> list[SourceFile]:
    result = []
    for index, file in enumerate(files):
        dataset = dcmread(DicomBytesIO(file.data))
        spoil(index, dataset)
        result.append(SourceFile(name=file.name, data=part10(dataset)))
    return result


def refusal(files: Sequence[SourceFile]) -> ImageRefused:
    with pytest.raises(ImageRefused) as early:
        check_series(files)
    with pytest.raises(ImageRefused) as late:
        read_images(files)
    assert early.value.message == late.value.message
    return late.value


def same(read: ImageSeries, volume: Volume) -> None:
    np.testing.assert_array_equal(read.volume.array_zyx, volume.array_zyx)
    np.testing.assert_allclose(read.volume.grid.affine(), volume.grid.affine(), atol=1e-6)


@pytest.mark.parametrize(
    ("degrees", "about"), [(0, 2), (17, 0), (-33, 1), (90, 0), (90, 1)], ids=lambda value: str(value)
)
def test_a_volume_comes_back_on_its_own_grid(degrees: float, about: int) -> None:
    volume = signal(turned_grid(GRID, degrees=degrees, about=about))
    found = read_images(mr_files(volume)[::-1])
    same(found, volume)
    assert found.modality is Modality.MR
    assert found.volume.array_zyx.dtype == np.float32
    assert {image.sop_class_uid for image in found.slices} == {MRImageStorage}


def test_a_double_oblique_volume_keeps_its_contours_in_its_planes() -> None:
    grid = turned_grid(turned_grid(GRID, degrees=24, about=0), degrees=-31, about=1)
    found = read_images(mr_files(signal(grid)))
    mask = np.zeros(grid.shape_zyx, bool)
    mask[2:4, 1:4, 2:5] = True
    for contour in contours(Mask.from_full(mask), found.volume.grid):
        index = grid.index_zyx(contour.points_lps)
        np.testing.assert_allclose(index[:, 0], contour.slice_index, atol=1e-6)
        assert set(np.round(index[:, 1], 6)) == {0.5, 3.5}
        assert set(np.round(index[:, 2], 6)) == {1.5, 4.5}


def test_a_model_sees_a_sagittal_volume_upright_and_its_masks_come_back() -> None:
    grid = turned_grid(turned_grid(GRID, degrees=90, about=1), degrees=90, about=0)
    volume = read_images(mr_files(signal(grid))).volume
    upright = canonical(volume)
    assert np.allclose(np.abs(upright.grid.axes_lps), np.eye(3)[::-1], atol=1e-6)
    mask = np.zeros(upright.grid.shape_zyx, bool)
    mask[1, 2, 3] = True
    masks = restore(Masks(grid=upright.grid, by_code={"A": Mask.from_full(mask)}), volume.grid)
    back = canonical_masks(masks).by_code["A"].full(upright.grid.shape_zyx)
    assert np.array_equal(back, mask)
    assert volume.array_zyx[masks.by_code["A"].full(volume.grid.shape_zyx)] == upright.array_zyx[mask]


def test_planes_that_are_not_axial_are_noted() -> None:
    assert check_series(mr_files(signal())).notes == ()
    (note,) = check_series(mr_files(signal(turned_grid(GRID, degrees=90, about=1)))).notes
    assert "sagittal" in note
    (note,) = check_series(mr_files(signal(turned_grid(GRID, degrees=-35, about=0)))).notes
    assert "oblique axial" in note


def test_planes_halfway_between_two_directions_are_refused() -> None:
    found = refusal(mr_files(signal(turned_grid(GRID, degrees=45, about=0))))
    assert found.code is RefusalCode.NOT_AXIAL
    assert "halfway" in found.message


def test_stored_values_are_rescaled_slice_by_slice() -> None:
    def scale(index: int, dataset: Dataset) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = str(1 + index), "-3"

    found = read_images(spoilt(mr_files(signal()), scale)).volume.array_zyx
    expected = signal().array_zyx * np.arange(1, 7)[:, None, None] - 3
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_real_world_values_stand_in_for_a_rescale_that_is_not_there() -> None:
    def mapped(_: int, dataset: Dataset) -> None:
        item = Dataset()
        item.RealWorldValueSlope, item.RealWorldValueIntercept = 0.5, 2.0
        dataset.RealWorldValueMappingSequence = [item]

    def both(index: int, dataset: Dataset) -> None:
        mapped(index, dataset)
        dataset.RescaleSlope, dataset.RescaleIntercept = "4", "0"

    np.testing.assert_array_equal(
        read_images(spoilt(mr_files(signal()), mapped)).volume.array_zyx, signal().array_zyx * 0.5 + 2
    )
    np.testing.assert_array_equal(
        read_images(spoilt(mr_files(signal()), both)).volume.array_zyx, signal().array_zyx * 4
    )


def test_a_slope_of_nothing_is_refused() -> None:
    found = refusal(spoilt(mr_files(signal()), lambda _, d: setattr(d, "RescaleSlope", "0")))
    assert "(0028,1053)" in found.message


def test_padding_takes_the_lowest_signal() -> None:
    def pad(_: int, dataset: Dataset) -> None:
        dataset.add_new(0x00280120, "US", 0)

    found = read_images(spoilt(mr_files(signal()), pad))
    assert found.volume.array_zyx[0, 0, 0] == 1
    assert "1 pixels of padding" in found.notes[0]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            MrExport(echo_times_ms=(12.0, 95.0)),
            "2 volumes lie in one series of 12 images at 6 positions: echoes",
        ),
        (MrExport(b_values=(0, 500, 1000)), "b-values (Diffusion b-value (0018,9087) 0, 500, 1000)"),
    ],
    ids=["echoes", "b-values"],
)
def test_volumes_in_one_series_are_told_apart_and_refused(how: MrExport, words: str) -> None:
    found = refusal(mr_files(signal(), how))
    assert found.code is RefusalCode.MIXED_ACQUISITIONS
    assert words in found.message
    assert found.message.endswith("Send one volume as a series of its own.")


def twice(first: Spoil, second: Spoil) -> list[SourceFile]:
    """Two volumes at the same places that differ in one attribute."""

    def renamed(index: int, dataset: Dataset) -> None:
        second(index, dataset)
        dataset.SOPInstanceUID += ".2"

    files = mr_files(signal())
    return [*spoilt(files, first), *spoilt(files, renamed)]


@pytest.mark.parametrize(
    ("keyword", "values", "words"),
    [
        ("TemporalPositionIdentifier", ("1", "2"), "phases or time points (Temporal Position Identifier (0020,0100) 1, 2)"),
        ("TriggerTime", ("0", "420"), "time points of a dynamic series (Trigger Time (0018,1060))"),
        ("AcquisitionTime", ("101500", "101800"), "time points of a dynamic series (Acquisition Time (0008,0032))"),
        ("AcquisitionNumber", ("1", "2"), "time points of a dynamic series (Acquisition Number (0020,0012))"),
        ("ImageType", (["ORIGINAL", "PRIMARY", "W"], ["ORIGINAL", "PRIMARY", "F"]), "water and fat (Image Type (0008,0008))"),
        ("FlipAngle", ("5", "20"), "flip angles (Flip Angle (0018,1314) 5, 20)"),
        ("InversionTime", ("400", "2500"), "inversion times (Inversion Time (0018,0082) 400, 2500)"),
        ("SequenceName", ("*ep_b0", "*ep_b800#1"), "sequences or b-values (Sequence Name (0018,0024) *ep_b0, *ep_b800#1)"),
    ],
)  # fmt: skip
def test_every_kind_of_second_volume_is_named(
    keyword: str, values: tuple[object, object], words: str
) -> None:
    first, second = values
    found = refusal(twice(lambda _, d: setattr(d, keyword, first), lambda _, d: setattr(d, keyword, second)))
    assert found.code is RefusalCode.MIXED_ACQUISITIONS
    assert words in found.message


def test_a_second_volume_that_nothing_tells_apart_says_so() -> None:
    found = refusal(twice(lambda _, _d: None, lambda _, _d: None))
    assert "nothing that the images say tells them apart" in found.message


def test_echoes_that_lie_between_each_other_are_refused() -> None:
    found = refusal(spoilt(mr_files(signal()), lambda k, d: setattr(d, "EchoTime", ("12", "95")[k % 2])))
    assert "Echo Time (0018,0081) 12 and 95" in found.message


def test_passes_of_one_volume_are_no_second_volume() -> None:
    """Slices of one MR volume are acquired odd and even, in passes with numbers and times of their own."""

    def interleaved(index: int, dataset: Dataset) -> None:
        dataset.AcquisitionNumber = str(1 + index % 2)
        dataset.AcquisitionTime = f"1015{20 * (index % 2) + index:02d}"
        dataset.TriggerTime = str(100 * (index % 3))

    same(read_images(spoilt(mr_files(signal()), interleaved)), signal())


def test_stacks_in_several_directions_are_refused_by_name() -> None:
    sagittal = mr_files(signal(turned_grid(GRID, degrees=90, about=1)))
    found = refusal([*mr_files(signal()), *sagittal])
    assert found.code is RefusalCode.MIXED_ORIENTATION
    assert (
        "2 stacks of images in different directions lie in one series (6 axial, 6 sagittal" in found.message
    )


def test_a_missing_slice_of_a_sagittal_stack_is_placed_along_its_axis() -> None:
    files = list(mr_files(signal(turned_grid(GRID, degrees=90, about=1))))
    del files[2]
    found = refusal(files)
    assert found.code is RefusalCode.MISSING_SLICES
    assert "1 slice missing: x=" in found.message


@pytest.mark.parametrize("description", ["Localizer", "3-plane loc", "t2_haste_scout", "Survey_BFFE"])
def test_localizers_are_known_by_their_description(description: str) -> None:
    files = spoilt(mr_files(signal()), lambda _, d: setattr(d, "SeriesDescription", description))
    assert {kind_of(read_raw(file.data, "")) for file in files} == {ImageKind.LOCALIZER}
    assert refusal(files).code is RefusalCode.NOT_MR


@pytest.mark.parametrize("description", ["t2_tse_tra", "Local recurrence", "Locoregional T1", "T1 VIBE"])
def test_other_descriptions_are_no_localizers(description: str) -> None:
    files = spoilt(mr_files(signal()), lambda _, d: setattr(d, "SeriesDescription", description))
    assert {kind_of(read_raw(file.data, "")) for file in files} == {ImageKind.SLICE}


def test_enhanced_mr_is_refused_by_name() -> None:
    files = spoilt(mr_files(signal()), lambda _, d: setattr(d, "SOPClassUID", EnhancedMRImageStorage))
    found = refusal(files)
    assert found.code is RefusalCode.ENHANCED
    assert "Export the series as single-frame MR Image Storage" in found.message


def test_a_ct_among_mr_images_is_refused_and_mr_among_ct() -> None:
    ct = SourceFile(name="ct", data=part10(slice_dataset(np.zeros((5, 7), np.int16), number=99)))
    assert refusal([*mr_files(signal()), ct]).code is RefusalCode.NOT_MR
    assert refusal([*series(), mr_files(signal())[0]]).code is RefusalCode.NOT_CT


def test_a_reader_of_ct_takes_no_mr() -> None:
    with pytest.raises(ImageRefused) as found:
        read_ct(mr_files(signal()))
    assert found.value.code is RefusalCode.NOT_CT


def test_a_volume_without_contrast_is_no_image() -> None:
    check_signal(signal())
    flat = Volume(array_zyx=np.full(GRID.shape_zyx, 7, np.float32), grid=GRID)
    with pytest.raises(ImageRefused, match="every voxel of the series has the value 7"):
        check_signal(flat)


@pytest.mark.shared_data
@pytest.mark.skipif(not ODDITIES.is_dir(), reason="the files beside the project (../shared/data) are absent")
@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("MR_small_expb.dcm", "is in the series 2 times"),
        ("MR_truncated.dcm", ""),
        ("emri_small_big_endian.dcm", "multi-frame MR is not read yet"),
    ],
)
def test_awkward_files_of_others_are_refused_in_words(name: str, word: str) -> None:
    file = SourceFile(name=name, data=(ODDITIES / name).read_bytes())
    with pytest.raises(ImageRefused) as found:
        read_images([file, file])
    assert word in found.value.message
    assert len(found.value.message) > 30
