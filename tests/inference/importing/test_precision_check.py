"""bfloat16 stays in an imported contract only where it was measured, on this image, to change next to nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.contract import CONTRACT_FILE, ModelContract
from inference.importing import self_tested
from inference.importing.isolation import Limits
from inference.importing.nnunet import read_nnunet
from inference.importing.self_test import compare_bfloat16
from inference.importing.self_tested import settle_precision
from tests.inference.importing.test_nnunet_parity import built
from tests.support.nnunet_models import make_trained
from tests.support.sided_models import make_nnunet, sided


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def ordered(act: str, order: Mapping[str, Any], _: Limits) -> tuple[Any, str]:
        assert act == "compare_bfloat16"
        return compare_bfloat16(Path(order["version_folder"]), Path(order["phantom"])), ""

    monkeypatch.setattr(self_tested, "ordered", ordered)


def settled(
    source: Path, tmp_path: Path, precision: str = "bfloat16", *, coarse: bool = False
) -> tuple[ModelContract, str | None]:
    """The contract as it lies on disk after the check, and what was said."""
    contract, _ = built(read_nnunet, source, {"precision": precision}, tmp_path)
    grid = ((8.0, 5.0, 5.0), (14, 26, 28)) if coarse else ((2.0, 1.0, 1.0), (60, 122, 138))
    volume = sided(*grid, seed=1000).volume
    np.savez(tmp_path / "ct.npz", image=volume.array_zyx, spacing_mm=np.array(volume.grid.spacing_zyx_mm))
    folder = tmp_path / "model" / "1"
    kept, said = settle_precision(contract, folder, (tmp_path / "ct.npz", "ct7"), Limits())
    written = ModelContract.model_validate_json((folder / CONTRACT_FILE).read_text())
    assert written.runtime == kept.runtime
    return kept, said


def test_a_trained_network_keeps_it_on_an_image_of_its_kind(tmp_path: Path) -> None:
    contract, said = settled(make_nnunet(tmp_path / "source"), tmp_path)
    assert contract.runtime.model_dump()["precision"] == "bfloat16"
    assert said is not None
    assert "in structures of ct7, at most 0.2 % may" in said


def test_a_random_network_has_borders_everywhere_and_loses_it(tmp_path: Path) -> None:
    contract, said = settled(make_trained(tmp_path / "source", mirror=None), tmp_path)
    assert contract.runtime.model_dump()["precision"] == "float32"
    assert said is not None
    assert said.startswith("float32, not bfloat16 as asked")
    assert "at most 0.2 % may differ. Say --precision-on" in said


def test_an_image_with_few_voxels_of_its_structures_judges_nothing(tmp_path: Path) -> None:
    contract, said = settled(make_nnunet(tmp_path / "source"), tmp_path, coarse=True)
    assert contract.runtime.model_dump()["precision"] == "float32"
    assert said is not None
    assert "1000 are needed to judge" in said


def test_float32_is_not_measured(tmp_path: Path) -> None:
    contract, said = settled(make_nnunet(tmp_path / "source"), tmp_path, "float32")
    assert (contract.runtime.model_dump()["precision"], said) == ("float32", None)
