"""contract.json: what is read, and each thing that is refused with the names of file and field."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from inference.contract import (
    ModelContract,
    ModelLibrary,
    default_version,
    load_contract,
    load_contracts,
    model_versions,
    set_default_version,
)
from inference.contract.native import NativeRuntime
from inference.contract.nnunet import NnunetRuntime
from inference.contract.pipelines import SliceStacks
from inference.errors import ContractRefused
from tests.support.models import contract_document, model_contract, native_runtime
from tests.support.triton import HN_OAR, REPOSITORY

PUBLISHED = [
    file
    for repository in ("model_repository", "reliability/model_repository")
    for file in sorted((REPOSITORY / repository).glob("*/[0-9]*/contract.json"))
]


def published(root: Path, document: Any, name: str = "moody", version: int = 1) -> Path:
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    (folder / "contract.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return folder


def test_the_published_models_are_read_and_the_self_test_is_none_of_them() -> None:
    contracts = load_contracts(REPOSITORY / "model_repository")
    assert "known_tensor" not in contracts
    assert contracts["hn_oar"].labels == (
        "Brainstem", "SpinalCord", "Parotid_R", "Parotid_L", "Larynx", "Mandible", "Esophagus",
    )  # fmt: skip
    assert contracts["hn_oar"].left_right_pairs == (("Parotid_R", "Parotid_L"),)


@pytest.mark.parametrize("folder", PUBLISHED, ids=str)
def test_a_published_contract_comes_back_as_it_was_written(folder: Path) -> None:
    contract = load_contract(folder.parent)
    assert ModelContract.model_validate_json(contract.model_dump_json()) == contract
    for name, sha256 in contract.checksums.items():
        assert hashlib.sha256((folder.parent / name).read_bytes()).hexdigest() == sha256


def test_bits_fill_planes_of_eight_and_structures_have_no_upper_limit() -> None:
    codes = tuple(f"S{i}" for i in range(117))
    found = {count: model_contract(codes=codes[:count]).planes for count in (1, 8, 9, 16, 17, 117)}
    assert found == {1: 1, 8: 1, 9: 2, 16: 2, 17: 3, 117: 15}


def test_one_checksum_stands_for_the_package(tmp_path: Path) -> None:
    """One file: its own; several: that of the listing which sha256sum prints for them in order."""
    assert model_contract().package_sha256 == "0" * 64
    two = model_contract(checksums={"weights.safetensors": "1" * 64, "anchors.safetensors": "2" * 64})
    listing = f"{'2' * 64}  anchors.safetensors\n{'1' * 64}  weights.safetensors\n"
    assert two.package_sha256 == hashlib.sha256(listing.encode()).hexdigest()


def test_a_publication_that_was_cut_off_is_no_version(tmp_path: Path) -> None:
    published(tmp_path, contract_document())
    (tmp_path / "moody" / "1").rename(tmp_path / "moody" / ".2.part")
    published(tmp_path, contract_document())
    assert list(model_versions(tmp_path / "moody")) == [1]


def three_versions(root: Path) -> Path:
    for version in (2, 10, 1):
        published(root, contract_document(version=version), version=version)
    return root / "moody"


def test_versions_stand_side_by_side_and_the_default_is_chosen(tmp_path: Path) -> None:
    folder = three_versions(tmp_path)
    assert list(model_versions(folder)) == [1, 2, 10]
    assert (default_version(folder), load_contracts(tmp_path)["moody"].version) == (10, 10), "the newest"
    set_default_version(folder, 2)
    assert (default_version(folder), load_contracts(tmp_path)["moody"].version) == (2, 2)
    with pytest.raises(ContractRefused, match="no version 3; there are: 1, 2, 10"):
        set_default_version(folder, 3)
    assert default_version(folder) == 2
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("text", ["3", "", "two", "-1", "2.0"])
def test_a_default_that_does_not_exist_is_refused(tmp_path: Path, text: str) -> None:
    folder = three_versions(tmp_path)
    (folder / "default_version").write_text(text)
    with pytest.raises(ContractRefused, match=r"default_version: .* models default moody VERSION"):
        load_contracts(tmp_path)


def test_a_library_follows_the_repository_and_outlives_a_bad_change(tmp_path: Path) -> None:
    folder = three_versions(tmp_path)
    library = ModelLibrary(tmp_path)
    assert (list(library), len(library), library["moody"].version) == (["moody"], 1, 10)
    set_default_version(folder, 1)
    assert library["moody"].version == 1
    assert library.version("moody", 2) == load_contract(folder / "2"), "other versions stay at hand"
    assert library.version("moody", 3) is None
    assert library.version("absent", 1) is None
    published(tmp_path, contract_document("second"), "second")
    assert set(library) == {"moody", "second"}
    (folder / "1" / "contract.json").write_text("{")
    assert library["moody"].version == 1
    (folder / "2" / "contract.json").write_text("{")
    assert library.version("moody", 2) is None


def change(**changes: Any) -> dict[str, Any]:
    return contract_document(**changes)


def pipeline(**changes: Any) -> dict[str, Any]:
    return change(runtime=native_runtime(**changes))


def voxels(**changes: Any) -> dict[str, Any]:
    return pipeline(voxels={**native_runtime()["pipeline"]["voxels"], **changes})


def runtime(**changes: Any) -> dict[str, Any]:
    return change(runtime={**native_runtime(), **changes})


def network(**changes: Any) -> dict[str, Any]:
    defined = {**native_runtime()["networks"]["network"], **changes}
    return runtime(networks={"network": defined})


def structure(**changes: Any) -> dict[str, Any]:
    return change(structures=[{"code": "A", **changes}])


OWN = {"name": "Flap", "colour_rgb": [1, 2, 3]}


@pytest.mark.parametrize(
    ("document", "field", "reason"),
    [
        ("{", "", "not valid JSON"),
        ("[]", "the whole", "valid dictionary"),
        (change(format=2), "format", "should be 1"),
        (change(colour="red"), "colour", "not permitted"),
        (change(name="Hn Oar"), "name", "pattern"),
        (change(name="other"), "name", "the model's folder is 'moody'"),
        (change(version=2), "version", "the version's folder is '1'"),
        (change(version=0), "version", "greater than or equal to 1"),
        (change(body_region="knee"), "body_region", "head_neck"),
        (change(licence=""), "licence", "at least 1"),
        (change(inputs=[]), "inputs", "at least 1"),
        (change(inputs=[{"modality": "US", "intensities": "HU"}]), "inputs.0.modality", "CT"),
        (change(inputs=[{"modality": "MR", "intensities": "HU"}]), "inputs.0", "MR has no Hounsfield"),
        (change(structures=[]), "structures", "at least 1"),
        (change(structures=[{"code": "A"}, {"code": "A"}]), "the whole", "appears twice"),
        (structure(threshold=1.0), "structures.0.threshold", "less than 1"),
        (structure(code="a b"), "structures.0.code", "pattern"),
        (structure(definition={**OWN, "colour_rgb": [0, 0, 256]}), "structures.0.definition", "0..255"),
        (structure(definition={**OWN, "name": "x" * 17}), "structures.0.definition.name", "at most 16"),
        (
            structure(definition={**OWN, "concept": {"value": "1", "scheme": "LN", "meaning": "x"}}),
            "structures.0.definition.concept.scheme",
            "SCT",
        ),
        (change(left_right_pairs=[["A", "Z"]]), "the whole", "left_right_pairs"),
        (change(left_right_pairs=[["A", "B"], ["B", "C"]]), "the whole", "left_right_pairs"),
        (runtime(kind="nnunet9"), "runtime", "'nnunet9'.*'native', 'nnunet', 'own_code'"),
        (change(runtime={"kind": "own_code"}), "the whole", "checksums lacks .*model.py"),
        (runtime(networks={}), "runtime.*networks", "at least 1"),
        (runtime(networks={"anchor": {"architecture": "x"}}), "runtime", "runs the networks"),
        (network(weights="../other.safetensors"), "runtime.*weights", "pattern"),
        (network(weights="weights.pth"), "runtime.*weights", "pattern"),
        (network(weights="others.safetensors"), "the whole", "checksums lacks .*others.safetensors"),
        (pipeline(name="magic"), "runtime.*pipeline.*name", "whole_volume_tiles"),
        (pipeline(windows_hu=[[240, -160]]), "runtime.*pipeline", "from low to high"),
        (pipeline(windows_hu=[]), "runtime.*windows_hu", "at least 1"),
        (pipeline(tile_zyx=[16, 16]), "runtime.*tile_zyx", "required"),
        (pipeline(overlap=0.95), "runtime.*overlap", "less than 0.9"),
        (voxels(slice_mm=5.0), "runtime.*voxels", "slice_mm 5.0 lies outside"),
        (voxels(in_plane_mm=1.0), "runtime.*voxels", "in_plane_mm 1.0 lies outside"),
        (change(checksums={}), "checksums", "at least 1"),
        (change(checksums={"weights.safetensors": "abc"}), "checksums.weights.safetensors", "pattern"),
        (
            change(provenance={**contract_document()["provenance"], "validation_dice": {"A": 1.2}}),
            "provenance.validation_dice.A",
            "less than or equal to 1",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_with_file_and_field(
    tmp_path: Path, document: Any, field: str, reason: str
) -> None:
    folder = published(tmp_path, document)
    with pytest.raises(ContractRefused, match=f"contract.json: {field}.*{reason}") as refusal:
        load_contract(folder)
    assert str(refusal.value).startswith(str(folder / "contract.json"))


def test_a_missing_file_or_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractRefused, match="No such file"):
        load_contract(tmp_path)
    with pytest.raises(ContractRefused, match="no such folder"):
        load_contracts(tmp_path / "absent")
    assert load_contracts(tmp_path) == {}


def test_the_format_before_contracts_is_refused_with_what_to_do(tmp_path: Path) -> None:
    shutil.copytree(HN_OAR, tmp_path / "hn_oar")
    (tmp_path / "hn_oar" / "spec.json").write_text("{}")
    with pytest.raises(ContractRefused, match=r"spec\.json: .*contour-node models convert .*hn_oar"):
        load_contracts(tmp_path)


def nnunet(**changes: Any) -> dict[str, Any]:
    """The runtime of a part with background and two classes, and a structure of each class."""
    part = {
        "architecture": "plain_conv_unet",
        "parameters": {},
        "folds": ["fold_0.safetensors"],
        "patch": [16, 32, 32],
        "spacing_mm": [3.0, 1.0, 1.0],
        "normalisation": {"scheme": "CTNormalization"},
        "image": {"order": 3},
        "logits": {"order": 1},
        "heads": [0, 1, 2],
    }
    structures = changes.pop("structures", [{"values": [1]}, {"values": [2]}])
    return {"kind": "nnunet", "parts": [part | changes], "structures": structures, "axes": "RAS"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"transpose": [0, 1, 1]}, "not an order of three axes"),
        ({"spacing_mm": [1.0, 1.0]}, "different axes"),
        ({"patch": [32, 32], "spacing_mm": [1.0, 1.0], "mirror_axes": [2]}, "are not axes of the patch"),
        ({"mirror_axes": [1, 1]}, "are not axes of the patch"),
        ({"heads": [1, 2, 0]}, "the first of two or more is the background"),
        ({"heads": [0]}, "the first of two or more is the background"),
        ({"structures": [{"values": [1]}, {"part": 1, "values": [2]}]}, "is of part 1, but there are 1"),
        ({"structures": [{"values": [1]}, {"values": [3]}]}, r"is made of \[3\], which no head"),
        ({"structures": [{"values": [1]}, {"values": [0]}]}, r"is made of \[0\], which no head"),
        ({"folds": ["fold_0.safetensors"] * 2}, "two folds share a weights file"),
    ],
)
def test_an_nnunet_that_contradicts_itself_is_refused(changes: dict[str, Any], reason: str) -> None:
    accepted = NnunetRuntime.model_validate(nnunet(mirror_axes=[0, 2]))
    assert (accepted.structure_count, accepted.files) == (2, ("fold_0.safetensors",))
    with pytest.raises(ValidationError, match=reason):
        NnunetRuntime.model_validate(nnunet(**changes))


def test_a_part_whose_heads_are_regions_needs_no_background() -> None:
    (part,) = NnunetRuntime.model_validate(nnunet(heads=[1, 2], regions=True)).parts
    assert part.heads == (1, 2)


@pytest.mark.parametrize(
    ("axes", "patch", "is_mirrored"), [([2], 3, True), ([0, 1], 3, False), ([1], 2, True), ([0], 2, False)]
)
def test_left_and_right_are_mirrored_along_x_alone(axes: list[int], patch: int, is_mirrored: bool) -> None:
    changes = {"patch": [16] * patch, "spacing_mm": [1.0] * patch, "mirror_axes": axes}
    (part,) = NnunetRuntime.model_validate(nnunet(**changes)).parts
    assert part.mirrors_left_and_right is is_mirrored


def test_a_runtime_must_give_as_many_structures_as_the_contract_has(tmp_path: Path) -> None:
    files = {"fold_0.safetensors": "0" * 64}
    both = contract_document(codes=("A", "B"), runtime=nnunet(), checksums=files)
    contract = load_contract(published(tmp_path, both))
    with pytest.raises(ValueError, match="moody version 1 has the runtime nnunet, not native"):
        _ = contract.native
    three = contract_document(codes=("A", "B", "C"), runtime=nnunet(), checksums=files)
    with pytest.raises(ValidationError, match="the runtime gives 2 structures, the contract has 3"):
        ModelContract.model_validate(three)


def test_two_networks_have_weights_files_of_their_own() -> None:
    pipeline = {
        "name": "stratified",
        "tile_zyx": [16, 16, 16],
        "voxels": native_runtime()["pipeline"]["voxels"],
        "anchors": ["A"],
        "mid_level": ["B"],
    }
    networks = {
        role: {"architecture": "x", "weights": f"{role}.safetensors"} for role in ("anchor", "mid_level")
    }
    runtime = {"kind": "native", "networks": networks, "pipeline": pipeline}
    assert NativeRuntime.model_validate(runtime).files == ("anchor.safetensors", "mid_level.safetensors")
    networks["anchor"]["weights"] = "mid_level.safetensors"
    with pytest.raises(ValidationError, match="two networks share a weights file"):
        NativeRuntime.model_validate(runtime)


@pytest.mark.parametrize("sd", [[1.0], [1.0, 0.0]])
def test_grey_levels_have_as_many_means_as_sds_above_0(sd: list[float]) -> None:
    frame = {"kind": "resized_slice", "size_yx": [256, 256]}
    stacks = {"name": "slice_stacks", "frame": frame, "accepted_slice_mm": [2.0, 5.0], "slice_mm": 3.0}
    assert SliceStacks.model_validate(stacks | {"mean": [0.0, 1.0], "sd": [1.0, 2.0]}).sd == (1.0, 2.0)
    with pytest.raises(ValidationError, match="as many means as sds above 0"):
        SliceStacks.model_validate(stacks | {"mean": [0.0, 1.0], "sd": sd})
