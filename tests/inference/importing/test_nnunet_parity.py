"""Imported models label every voxel as nnU-Net and TotalSegmentator do, at the trained spacing and at two others."""

import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from evaluation.nifti import read_array
from inference.contract import ModelContract
from inference.importing.draft import Options
from inference.importing.labels import proposed
from inference.importing.nnunet import read_nnunet
from inference.importing.package import Answers, build_version
from inference.importing.sources import opened
from inference.importing.totalsegmentator import read_totalsegmentator
from inference.server.predictor import ServedPredictor
from inference.server.runtimes.catalogue import load_predictor
from tests.support.nnunet_models import (
    IMAGES,
    REGIONS,
    TOTAL_FAST,
    TOTAL_PARTS,
    VARIANTS,
    image,
    make_total,
    make_trained,
)

EXPECTED = Path(__file__).with_name("expected.npz")
TOY = Path(__file__).parents[4] / "shared" / "data" / "toy-models" / "nnunet"
ANSWERS = Answers(name="tiny", description="d", body_region="head_neck", licence="l", data="d", citation="c")


@cache
def expected() -> dict[str, NDArray[np.uint8]]:
    with np.load(EXPECTED) as content:
        return {key.replace("__", "/"): content[key] for key in content.files}


def built(read: object, source: Path, options: Options, root: Path) -> tuple[ModelContract, ServedPredictor]:
    """Import without the child process: these sources are ours."""
    weights = root / "weights"
    weights.mkdir()
    with opened(source, root) as files:
        draft = read(files, options, weights)  # type: ignore[operator]
    rows = proposed([label.name for label in draft.labels])
    contract = build_version(draft, rows, ANSWERS, root / "model" / "1", weights)
    return contract, load_predictor(contract, root / "model" / "1", torch.device("cpu"))


def found_masks(
    contract: ModelContract, predictor: ServedPredictor, name: str, *, is_hu: bool = True
) -> list[NDArray[np.bool_]]:
    hu, spacing = image(name)
    with torch.inference_mode():
        answer = predictor.predict(hu if is_hu else hu.astype(np.float32), spacing)
    return [
        (answer.planes[index // 8] & np.uint8(1 << index % 8)) != 0 for index in range(len(contract.labels))
    ]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_voxel_is_labelled_as_by_nnunet(tmp_path: Path, variant: str) -> None:
    how = VARIANTS[variant]
    make_trained(tmp_path / "source", **how)
    is_hu = how.get("channel", "CT") == "CT"
    contract, predictor = built(
        read_nnunet, tmp_path / "source", {} if is_hu else {"modality": "MR"}, tmp_path
    )
    assert contract.in_hounsfield_units is is_hu
    labels = how.get("labels")
    values = [(1, 2, 3), (2, 3), (3,)] if labels is REGIONS else [(1,), (2,), (3,)]
    reference = asked_anew(variant) if find_spec("nnunetv2") else expected()
    for name in IMAGES:
        truth = reference[f"{variant}/{name}"]
        assert len(np.unique(truth)) > 2, "a reference that says nothing"
        masks = found_masks(contract, predictor, name, is_hu=is_hu)
        differing = [int((mask != np.isin(truth, v)).sum()) for mask, v in zip(masks, values, strict=True)]
        assert differing == [0, 0, 0], f"{variant} on {name}: voxels that differ"


@pytest.mark.skipif(
    not TOY.is_dir(), reason=f"{TOY} is not there: an nnU-Net folder with its own predictions"
)
@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_a_trained_folder_gives_what_nnunet_wrote_for_it(tmp_path: Path, configuration: str) -> None:
    """A network that nnU-Net trained, and the files of its own program on another processor."""
    contract, predictor = built(read_nnunet, TOY / "results", {"configuration": configuration}, tmp_path)
    for name in ("toy_099", "toy_aniso", "toy_iso"):
        grid, values = read_array(TOY / "imagesTs" / f"{name}_0000.nii.gz")
        _, truth = read_array(TOY / "predicted" / configuration / f"{name}.nii.gz")
        with torch.inference_mode():
            answer = predictor.predict(values.astype(np.float32), grid.spacing_zyx_mm)
        assert contract.labels == ("Parotid_R", "Parotid_L", "Mandible")
        for bit, value in enumerate((1, 2, 3)):
            mask = (answer.planes[0] & np.uint8(1 << bit)) != 0
            assert int((mask != (truth == value)).sum()) == 0, (
                f"{configuration} on {name}: voxels that differ"
            )


@pytest.mark.parametrize(
    ("mode", "datasets", "voxel"), [("fast", TOTAL_FAST, 3.0), ("default", TOTAL_PARTS, 1.5)]
)
def test_every_voxel_is_labelled_as_by_totalsegmentator(
    tmp_path: Path,
    mode: str,
    datasets: dict[int, dict[str, int]],
    voxel: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from inference.importing import totalsegmentator

    row = totalsegmentator.task_row("total", mode)
    only = {**row, "datasets": " ".join(map(str, datasets))}
    monkeypatch.setattr(totalsegmentator, "task_row", lambda *_: only)
    make_total(tmp_path / "source", datasets, voxel)
    contract, predictor = built(
        read_totalsegmentator, tmp_path / "source", {"task": "total", "mode": mode}, tmp_path
    )
    values = (
        TOTAL_VALUES
        if mode == "default"
        else {k: v for k, v in TOTAL_VALUES.items() if k in ("Spleen", "Kidney_R", "Kidney_L")}
    )
    assert set(contract.labels) == set(values)
    for name in IMAGES:
        truth = expected()[f"total_{mode}/{name}"]
        masks = dict(zip(contract.labels, found_masks(contract, predictor, name), strict=True))
        differing = {code: int((masks[code] != (truth == value)).sum()) for code, value in values.items()}
        assert not any(differing.values()), f"{mode} on {name}: voxels that differ {differing}"


# Values in TotalSegmentator's own label map of the task total.
TOTAL_VALUES = {
    "Spleen": 1,
    "Kidney_R": 2,
    "Kidney_L": 3,
    "Sacrum": 25,
    "VB_S1": 26,
    "VB_L5": 27,
}


def test_a_wrong_axis_would_be_seen(tmp_path: Path) -> None:
    """The images are lopsided and the networks are not symmetric: turned axes change the answer."""
    variant = "3d_ras_folds_ignore"
    make_trained(tmp_path / "source", **VARIANTS[variant])
    contract, predictor = built(read_nnunet, tmp_path / "source", {"axes": "LPS"}, tmp_path)
    masks = found_masks(contract, predictor, "native")
    truth = expected()[f"{variant}/native"]
    assert sum(int((mask != (truth == value)).sum()) for value, mask in enumerate(masks, start=1)) > 100


def asked_anew(variant: str) -> dict[str, NDArray[np.uint8]]:
    from tests.inference.importing.reference import answers

    with tempfile.TemporaryDirectory() as folder:
        return answers(variant, make_trained(Path(folder), **VARIANTS[variant]))
