"""Which way x and y run in an nnU-Net's images is settled by what the version on disk says of left and right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.contract import CONTRACT_FILE, ModelContract
from inference.errors import ImportRefused
from inference.importing import self_test
from inference.importing.package import write_contract
from inference.importing.self_tested import SelfTest, settle_axes
from tests.support.models import model_contract

SIDES = ("Parotid_L", "Parotid_R")
RIGHT_WAY, WRONG_WAY = {"in_order": ("p",), "swapped": ()}, {"in_order": (), "swapped": ("p",)}
NOTHING: dict[str, Any] = {"in_order": (), "swapped": ()}


def nnunet(axes: str) -> ModelContract:
    part = {
        "architecture": "plain_conv_unet",
        "parameters": {},
        "folds": ["fold_0.safetensors"],
        "patch": [8, 8, 8],
        "spacing_mm": [1.0, 1.0, 1.0],
        "normalisation": {"scheme": "NoNormalization"},
        "image": {"order": 3},
        "logits": {"order": 1},
        "heads": [0, 1, 2],
    }
    structures = [{"values": [1]}, {"values": [2]}]
    runtime = {"kind": "nnunet", "parts": [part], "structures": structures, "axes": axes}
    return model_contract(
        codes=SIDES,
        runtime=runtime,
        left_right_pairs=[SIDES],
        checksums={"fold_0.safetensors": "0" * 64},
    )


def on_disk(folder: Path) -> Any:
    text = (folder / CONTRACT_FILE).read_text(encoding="utf-8")
    return ModelContract.model_validate_json(text).runtime.model_dump()["axes"]


def answering(folder: Path, answers: dict[str, dict[str, Any]]) -> Callable[[], SelfTest]:
    """A self-test that answers for the axes of the contract that lies on disk."""
    return lambda: SelfTest(seconds=1.0, peak_mib=1.0, structures=2, found=SIDES, **answers[on_disk(folder)])


def settled(folder: Path, answers: dict[str, dict[str, Any]], *, needs_axes: bool) -> SelfTest:
    """What was found, with the axes that a first guess of LPS ended in; the contract on disk is the one returned."""
    write_contract(nnunet("LPS"), folder)
    contract, found = settle_axes(nnunet("LPS"), folder, answering(folder, answers), needs_axes=needs_axes)
    assert contract.runtime.model_dump()["axes"] == on_disk(folder)
    return found


@pytest.mark.parametrize(
    ("lps", "ras", "axes"),
    [(RIGHT_WAY, WRONG_WAY, "LPS"), (WRONG_WAY, RIGHT_WAY, "RAS"), (NOTHING, RIGHT_WAY, "RAS")],
)
def test_unknown_axes_are_those_on_which_left_is_left(
    tmp_path: Path, lps: dict[str, Any], ras: dict[str, Any], axes: str
) -> None:
    found = settled(tmp_path, {"LPS": lps, "RAS": ras}, needs_axes=True)
    assert (found.axes, on_disk(tmp_path), found.sides_are_right) == (axes, axes, True)


@pytest.mark.parametrize("both", [RIGHT_WAY, WRONG_WAY, NOTHING])
def test_axes_that_the_test_cannot_tell_are_asked_for(tmp_path: Path, both: dict[str, Any]) -> None:
    with pytest.raises(ImportRefused, match="could not tell: say --axes LPS"):
        settled(tmp_path, {"LPS": both, "RAS": both}, needs_axes=True)


def test_known_axes_on_which_the_sides_are_swapped_are_refused_with_the_other_ones(tmp_path: Path) -> None:
    with pytest.raises(
        ImportRefused, match="with the axes of the model's reader, LPS, and the right way with RAS"
    ):
        settled(tmp_path, {"LPS": WRONG_WAY, "RAS": RIGHT_WAY}, needs_axes=False)


@pytest.mark.parametrize(
    ("lps", "ras"), [(RIGHT_WAY, RIGHT_WAY), (WRONG_WAY, WRONG_WAY), (NOTHING, RIGHT_WAY)]
)
def test_known_axes_stay_where_the_others_are_not_better(
    tmp_path: Path, lps: dict[str, Any], ras: dict[str, Any]
) -> None:
    found = settled(tmp_path, {"LPS": lps, "RAS": ras}, needs_axes=False)
    assert (found.axes, on_disk(tmp_path), found.swapped) == (None, "LPS", lps["swapped"])


@pytest.mark.parametrize(
    ("left", "right", "swapped", "in_order"),
    [(5.0, 4.5, 0, 1), (4.5, 5.0, 1, 0), (5.0, 5.0, 0, 0), (None, 5.0, 0, 0), (5.0, None, 0, 0)],
)
@pytest.mark.parametrize("pair", [SIDES, SIDES[::-1]])
def test_a_pair_in_one_column_or_with_one_found_is_neither_swapped_nor_in_order(
    pair: tuple[str, str], left: float | None, right: float | None, swapped: int, in_order: int
) -> None:
    contract = model_contract(codes=SIDES, left_right_pairs=[pair])
    places = {"Parotid_L": left, "Parotid_R": right}
    words = ["Parotid_L and Parotid_R"]
    assert self_test.swapped_pairs(contract, places) == words * swapped
    assert self_test.in_order_pairs(contract, places) == words * in_order


def test_where_a_structure_lies_is_the_mean_column_of_its_voxels() -> None:
    mask = np.zeros((4, 5, 12), np.uint8)
    assert self_test._middle(mask) is None
    mask[np.random.default_rng(1).random(mask.shape) < 0.2] = 64
    assert self_test._middle(mask) == pytest.approx(np.nonzero(mask)[2].mean())
