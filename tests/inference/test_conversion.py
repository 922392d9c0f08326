"""The format before contracts becomes a contract that says the same, or nothing is changed."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.contract import load_contract
from inference.contract.conversion import convert
from inference.errors import ContractRefused
from tests.support.models import contract_document, model_contract

CODES = ("Parotid_R", "Parotid_L", "Larynx")


def old_document(**changes: Any) -> dict[str, Any]:
    """A spec.json as publishing wrote it before contracts."""
    runtime = contract_document("old", CODES)["runtime"]
    pipeline = {key: value for key, value in runtime["pipeline"].items() if key != "name"}
    return {
        "name": "old",
        "version": 3,
        "description": "for tests",
        "structures": [{"code": code, "threshold": 0.4} for code in CODES],
        "network": runtime["networks"]["network"],
        "pipeline": {**pipeline, "mirror": True, "mirrored_pairs": [["Parotid_R", "Parotid_L"]]},
        "provenance": {
            "data": "d", "split": "s", "licence": "l", "citation": "c", "weights_sha256": "a" * 64, "steps": 7,
            "training_s": 1.5, "validation": "v", "validation_mean_dice": 0.5,
        },
        **changes,
    }  # fmt: skip


def old_model(root: Path, document: Any) -> Path:
    (root / "old" / "3").mkdir(parents=True)
    (root / "old" / "spec.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return root / "old"


def test_a_spec_becomes_the_contract_that_says_the_same(tmp_path: Path) -> None:
    folder = old_model(tmp_path, old_document())
    contract = convert(folder, "head_neck")
    assert contract == load_contract(folder / "3")
    runtime = contract_document("old", CODES)["runtime"]
    expected = model_contract(
        "old",
        CODES,
        version=3,
        structures=[{"code": code, "threshold": 0.4} for code in CODES],
        left_right_pairs=[["Parotid_R", "Parotid_L"]],
        licence="l",
        citation="c",
        checksums={"weights.safetensors": "a" * 64},
        provenance={
            "data": "d", "split": "s", "steps": 7, "training_s": 1.5, "validation": "v", "validation_mean_dice": 0.5,
        },
        runtime={**runtime, "pipeline": {**runtime["pipeline"], "mirror": True}},
    )  # fmt: skip
    assert contract == expected
    assert sorted(file.name for file in folder.rglob("*") if file.is_file()) == ["contract.json"]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "not a spec.json"),
        ("[]", "not a spec.json"),
        ({"name": "old"}, "lacks 'pipeline'"),
        (old_document(structures=[]), "structures: .*at least 1"),
        (old_document(version=4), "describes old version 4, for which there is no folder"),
        (old_document(name="other"), "describes other version 3"),
    ],
)
def test_a_file_that_cannot_be_converted_is_left_as_it_is(tmp_path: Path, document: Any, reason: str) -> None:
    folder = old_model(tmp_path, document)
    before = (folder / "spec.json").read_text()
    with pytest.raises(ContractRefused, match=rf"spec\.json: {reason}"):
        convert(folder, "head_neck")
    assert (folder / "spec.json").read_text() == before
    assert [file.name for file in folder.rglob("*") if file.is_file()] == ["spec.json"]


def test_a_folder_without_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractRefused, match=r"spec\.json: No such file"):
        convert(tmp_path, "pelvis")
