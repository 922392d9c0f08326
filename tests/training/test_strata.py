"""A pipeline of several networks from one recipe to a published version.

Frozen and out-of-fold guides, heat, volumes.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.overlap import dice
from inference.contract import Stratified
from inference.server.pipelines.catalogue import build_pipeline
from inference.server.runtimes.catalogue import load_predictor
from tests.support.training import MemorySource
from training.cases import Case, Subset, bit_planes, places_of
from training.distributed import World
from training.guides import GuideMaps
from training.measured import measured
from training.organ_task import OrganTask
from training.precision import Precision
from training.publish import NotPublished, publish
from training.recipe import Recipe, RecipeRefused, load_recipe, load_recipe_json
from training.roles import learned, role_recipe
from training.run_record import load_record
from training.small_organs import HeatMaps
from training.strata import StrataRun
from training.thresholds import GRID, chosen_thresholds
from training.trained import trained_networks

CODES = ("Mandible", "Parotid_L", "Parotid_R", "Lens_L", "Lens_R")
RECIPE = """
data = "boxes"
precision = "fp32"
guide_folds = 2

[schedule]
steps = 40
learning_rate = 1e-2
warmup_steps = 3
averaging = 0.8
validate_every = 40
checkpoint_every = 40

[augmentation]
affine_share = 0.0
couch_share = 0.0
noise_hu = 0.0
anywhere_share = 0.0

[roles.detector.schedule]
steps = 150
validate_every = 150

[roles.voi.schedule]
steps = 40
validate_every = 40

[contract]
name = "tiny_strata"
description = "boxes"
body_region = "head_neck"
left_right_pairs = [["Parotid_L", "Parotid_R"], ["Lens_L", "Lens_R"]]
licence = "none"
citation = "none"
inputs = [{ modality = "CT", intensities = "HU" }]
structures = [
  { code = "Mandible", smallest_piece_cc = 0.0 }, { code = "Parotid_L", smallest_piece_cc = 0.0 },
  { code = "Parotid_R", smallest_piece_cc = 0.0 }, { code = "Lens_L", smallest_piece_cc = 0.0 },
  { code = "Lens_R", smallest_piece_cc = 0.0 },
]

[contract.runtime]
kind = "native"

[contract.runtime.networks.anchor]
architecture = "soars_unet"
weights = "anchor.safetensors"
parameters = { in_channels = 1, out_channels = 2, channels = [6, 8], operations = ["3d3", "2d3", "3d3"] }

[contract.runtime.networks.mid_level]
architecture = "soars_unet"
weights = "mid_level.safetensors"
parameters = { in_channels = 2, out_channels = 3, channels = [6, 8], operations = ["3d3", "2d3", "3d3"] }

[contract.runtime.networks.detector]
architecture = "soars_unet"
weights = "detector.safetensors"
parameters = { in_channels = 2, out_channels = 2, channels = [6, 8], operations = ["3d3", "2d3", "3d3"] }

[contract.runtime.networks.voi]
architecture = "soars_unet"
parameters = { in_channels = 1, out_channels = 1, channels = [6, 8], operations = ["3d3", "2d3", "3d3"] }

[contract.runtime.pipeline]
name = "stratified"
window_hu = [-500.0, 1000.0]
tile_zyx = [12, 16, 24]
overlap = 0.0
body_margin_mm = 8.0
voi_multiple = 2
anchors = ["Mandible"]
mid_level = ["Parotid_L", "Parotid_R"]
small = ["Lens_L", "Lens_R"]
voxels = { accepted_in_plane_mm = [3.0, 5.0], accepted_slice_mm = [2.0, 4.0], in_plane_mm = 4.0, slice_mm = 2.5 }
"""


def one_case(name: str, subset: Subset, seed: int) -> Case:
    """A body with a mandible in its middle, parotids beside it, and two bright lenses in front."""
    rng = np.random.default_rng(seed)
    hu = np.full((12, 16, 24), -1000, np.int16)
    hu[:, 1:-1, 1:-1] = 40
    dz, dy = rng.integers(-1, 2, 2)
    boxes = (
        (slice(4 + dz, 8 + dz), slice(6 + dy, 10 + dy), slice(10, 14)),
        (slice(4 + dz, 8 + dz), slice(6 + dy, 10 + dy), slice(16, 20)),
        (slice(4 + dz, 8 + dz), slice(6 + dy, 10 + dy), slice(4, 8)),
        (slice(8 + dz, 11 + dz), slice(3 + dy, 5 + dy), slice(16, 18)),
        (slice(8 + dz, 11 + dz), slice(3 + dy, 5 + dy), slice(6, 8)),
    )
    masks = []
    for box, value in zip(boxes, (900, -120, -120, 400, 400), strict=True):
        masks.append(np.zeros(hu.shape, bool))
        masks[-1][box] = True
        hu[box] = value
    return Case(
        name=name,
        subset=subset,
        hu_zyx=hu,
        planes=bit_planes(masks),
        drawn=np.ones(5, bool),
        places=tuple(places_of(mask, rng) for mask in masks),
        spacing_zyx_mm=(2.5, 4.0, 4.0),
    )


def source() -> MemorySource:
    cases = [one_case(name, Subset.TRAIN, seed) for seed, name in enumerate("abcd")]
    return MemorySource([*cases, one_case("v", Subset.VAL, 9), one_case("t", Subset.TEST, 10)], CODES)


def recipe(folder: Path, text: str = RECIPE) -> Recipe:
    (folder / "recipe.toml").write_text(text)
    return load_recipe(folder / "recipe.toml")


def strata_run(folder: Path, of: Recipe) -> StrataRun:
    return StrataRun(
        recipe=of, source=source(), data=folder, folder=folder / "run", world=World(), precision=Precision()
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of five networks and two folds; tests only read it."""
    folder = tmp_path_factory.mktemp("strata")
    torch.set_num_threads(1)
    state, scores = strata_run(folder, recipe(folder)).train()
    assert state.step == 40 + 40 + 150 + 2 * 40
    assert state.best_mean > 0.6, scores
    assert set(scores) == {"v"}
    return folder / "run"


def test_each_role_has_a_run_of_its_own_and_no_test_patient(run: Path) -> None:
    folders = {folder.name for folder in run.iterdir() if folder.is_dir()}
    roles = {"anchor", "mid_level", "detector", "voi_Lens_L", "voi_Lens_R"}
    assert folders == roles | {"anchor_fold_0", "anchor_fold_1", "guides"}
    for folder in (run, *(run / role for role in roles)):
        assert load_record(folder).split == {"train": ("a", "b", "c", "d"), "val": ("v",)}
    assert load_record(run / "anchor_fold_0").split == {"train": ("b", "d"), "val": ()}
    assert load_record(run / "anchor_fold_1").split == {"train": ("a", "c"), "val": ()}
    assert {file.stem for file in (run / "guides").iterdir()} == {"a", "b", "c", "d", "v"}


def test_a_finished_run_trains_nothing_again(run: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*.pt")}
    state, _ = strata_run(run.parent, recipe(run.parent)).train()
    assert state.step == 310
    assert {file: file.stat().st_mtime_ns for file in run.rglob("*.pt")} == before


def test_thresholds_are_chosen_for_the_whole_pipeline_on_training_patients(run: Path) -> None:
    """Both lenses share theirs; a structure's Dice at 0.5 is that of the pipeline as it stands."""
    of = load_recipe_json(run / "recipe.json")
    chosen, table = chosen_thresholds(of, source(), run, 2)
    assert set(chosen) == set(CODES)
    assert chosen["Lens_L"] == chosen["Lens_R"]
    assert {len(values) for row in table.values() for values in row.values()} == {2}
    means = {t: sum(sum(table[code][t]) for code in ("Lens_L", "Lens_R")) for t in GRID}
    assert means[chosen["Lens_L"]] == max(means.values())
    networks = {role: one.network for role, one in trained_networks(run, of).items()}
    case = source().case("a")
    planes = (
        build_pipeline(of.draft(), networks, torch.device("cpu"))
        .predict(case.hu_zyx, case.spacing_zyx_mm)
        .planes
    )
    found = (planes[0] >> 1 & 1).astype(bool)
    assert table["Parotid_L"][0.5][0] == dice(found, case.mask(1))


def test_all_networks_are_published_and_predict_as_in_training(tmp_path: Path, run: Path) -> None:
    case = source().case("v")
    contract = publish(run, tmp_path, [(case.hu_zyx, case.spacing_zyx_mm)])
    files = {"anchor", "mid_level", "detector", "voi_lens_l", "voi_lens_r"}
    assert set(contract.checksums) == {f"{name}.safetensors" for name in files}
    served = load_predictor(contract, tmp_path / "tiny_strata" / "1", torch.device("cpu"))
    planes = served.predict(case.hu_zyx, case.spacing_zyx_mm).planes
    assert planes[0].any()
    mean = contract.provenance.validation_mean_dice
    assert mean is not None
    assert mean > 0.6
    assert contract.provenance.steps == sum(
        int(torch.load(run / role / "best.pt", weights_only=True)["state"]["step"])
        for role in contract.native.pipeline.roles
    )
    with pytest.raises(NotPublished, match="best"):
        publish(run, tmp_path / "other", [(case.hu_zyx, case.spacing_zyx_mm)], "last")


def test_extents_are_measured_on_training_patients(tmp_path: Path) -> None:
    """3 slices of 2.5 mm, 2 rows and columns of 4 mm."""
    how = measured(recipe(tmp_path), source()).draft().native.pipeline
    assert isinstance(how, Stratified)
    assert [organ.largest_extent_mm for organ in how.small] == [(7.5, 8.0, 8.0)] * 2


def test_a_role_learns_with_its_own_settings(tmp_path: Path) -> None:
    whole = recipe(tmp_path)
    detector = role_recipe(whole, "detector")
    assert (detector.schedule.steps, detector.schedule.learning_rate, detector.loss.name) == (
        150,
        1e-2,
        "heat_map",
    )
    assert role_recipe(whole, "mid_level").loss.name == "softmax_dice_and_cross_entropy"
    assert role_recipe(whole, "voi_Lens_R").loss.name == "sigmoid_dice_and_cross_entropy"
    assert learned(whole, "voi_Lens_R") == ("Lens_R", "Lens_L")
    assert role_recipe(whole, "anchor").draft().labels == ("Mandible",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[roles.middle.schedule]\nsteps = 1\n", "middle"),
        ("[roles.voi]\nsteps = 1\n", "steps"),
        ("[roles.voi.schedule]\nsteps = 0\n", "steps"),
    ],
)
def test_settings_of_roles_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    cut = RECIPE[: RECIPE.index("[roles.detector")] + text + RECIPE[RECIPE.index("[contract]") :]
    with pytest.raises(RecipeRefused, match=message):
        strata_run(tmp_path, recipe(tmp_path, cut)).train()
    assert not (tmp_path / "run").exists()


def test_an_organ_that_no_training_patient_has_is_refused(tmp_path: Path) -> None:
    empty = source()
    for name in "abcd":
        case = empty.case(name)
        planes = case.planes & np.uint8(0b01111)
        empty._cases[name] = Case(**{**vars(case), "planes": planes})
    with pytest.raises(RecipeRefused, match="Lens_R"):
        measured(recipe(tmp_path), empty)


def test_guides_are_cut_turned_and_mirrored_with_the_ct() -> None:
    """Two maps; beyond the case they are 0."""
    planes = np.zeros((2, 2, 3, 4), np.uint8)
    planes[0, 1, 2, 3], planes[1, 0, 0, 0] = 255, 51
    maps = GuideMaps(planes=planes, mirror_order=(1, 0))
    block = maps.cut(np.array([1, 1, 2]), (2, 2, 3))
    assert block.shape == (2, 2, 2, 3)
    assert block[0, 0, 1, 1] == 1
    assert block.sum() == 1
    assert maps.cut(np.array([0, 0, 0]), (1, 1, 1))[1].item() == pytest.approx(0.2)


def test_heat_is_about_the_centre_of_mass_wherever_it_is_cut() -> None:
    case = one_case("a", Subset.TRAIN, 0)
    heat = HeatMaps.of(case, (0, 2, 1, 4, 3))
    centre = case.places[3].mean(axis=0)
    start = np.floor(centre).astype(int) - 3
    block = heat.cut(start, (8, 8, 8))[3]
    at = np.unravel_index(int(block.argmax()), block.shape)
    assert np.abs(np.array(at) + start - centre).max() <= 0.5
    assert block.max() <= 1


def test_a_mirrored_sample_shows_the_guides_where_the_organs_are(tmp_path: Path) -> None:
    """The recipe mirrors every patch; the anchor's map must still lie on the bone."""
    of = recipe(tmp_path, RECIPE.replace("[augmentation]\n", "[augmentation]\nmirror_share = 1.0\n"))
    assert role_recipe(of, "mid_level").augmentation.mirror_share == 1
    with pytest.raises(RecipeRefused, match="anchor, mid_level"):
        OrganTask(of, source())


def test_the_record_of_the_whole_run_has_the_measured_extents(run: Path) -> None:
    kept = json.loads((run / "recipe.json").read_text())
    small = kept["contract"]["runtime"]["pipeline"]["small"]
    assert [organ["largest_extent_mm"] for organ in small] == [[7.5, 8.0, 8.0]] * 2
