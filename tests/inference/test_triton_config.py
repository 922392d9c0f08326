"""config.pbtxt is what the contracts make of it, and Triton's own parser reads it."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from inference.contract import model_versions
from inference.triton_config import MODEL_ENTRY, pbtxt, triton_config
from tests.support.models import model_contract
from tests.support.triton import REPOSITORY

COMMITTED = sorted(
    file.parents[1]
    for repository in ("model_repository", "reliability/model_repository", "tests/inference/models")
    for file in (REPOSITORY / repository).glob("*/1/contract.json")
)


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_the_committed_config_is_the_generated_one(folder: Path) -> None:
    assert (folder / "config.pbtxt").read_text() == pbtxt(triton_config(model_versions(folder)))


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_what_the_project_executes_has_the_one_entry(folder: Path) -> None:
    for version, contract in model_versions(folder).items():
        entry = (folder / str(version) / "model.py").read_text()
        assert (entry == MODEL_ENTRY) is (contract.runtime.kind != "own_code")


def test_tritons_own_parser_reads_labels_types_and_versions() -> None:
    versions = {1: model_contract(), 3: model_contract(version=3, codes=("A", "B"))}
    config = text_format.Parse(pbtxt(triton_config(versions)), model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("moody", "python", 0)
    assert [(i.name, i.data_type, list(i.dims)) for i in config.input] == [
        ("image", model_config_pb2.TYPE_INT16, [-1, -1, -1]),
        ("spacing_mm", model_config_pb2.TYPE_FP32, [3]),
    ]
    assert config.version_policy.HasField("all")
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    assert parameters == {
        "threads": "0",
        "version_1_labels": "A,B,C,D,E,F,G,H,I",
        "version_1_package_sha256": "0" * 64,
        "version_3_labels": "A,B",
        "version_3_package_sha256": "0" * 64,
    }


def test_images_without_hounsfield_units_travel_as_floats() -> None:
    contract = model_contract(inputs=[{"modality": "MR", "intensities": "normalised"}])
    assert triton_config({1: contract})["input"][0]["data_type"] == "TYPE_FP32"
